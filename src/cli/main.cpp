#include "cli/cli.h"

#include <csignal>

int main(int argc, char** argv)
{
  // A node that closes a connection while a request is being written is an error to tell, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  auto console = concordat::cli::Console::standard();
  return concordat::cli::run(argc, argv, console);
}
