#pragma once

#include <functional>
#include <string>
#include <thread>

namespace concordat::base
{
/// Starts a thread that must not die unnoticed: an exception that leaves `body` ends the process with a message that
/// names the thread, because a node that has lost one of its threads would hang instead of failing.
/// @param name  what the log and the debugger call it, 15 characters at most
std::thread start_thread(std::string name, std::function<void()> body);

/// For threads that do what takes long: whoever sent something short must not wait for them.
constexpr int least_urgent = 19;

/// Has the scheduler prefer other threads to the one that calls, wherever both want a processor: it goes on, later.
/// Where the system does not let it, nothing changes.
/// @param niceness  0 (none) to 19
void give_way(int niceness);

/// Ends the process with a message about what failed in the thread that calls. Inside a `catch` block only.
[[noreturn]] void thread_died(const std::string& name);
}
