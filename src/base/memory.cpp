#include "base/memory.h"

#include <malloc.h>

// Of mimalloc, where the program is linked with it.
extern "C" __attribute__((weak)) void mi_collect(bool force);

namespace concordat::base
{
void return_free_memory()
{
  if (mi_collect)
    mi_collect(true);
  else
    (void)malloc_trim(0);
}
}
