#pragma once

namespace concordat::base
{
/// Has the allocator give what is free back to the system, of the calling thread's part at least. Takes a moment: for
/// when much was let go of that will not be needed again soon.
void return_free_memory();
}
