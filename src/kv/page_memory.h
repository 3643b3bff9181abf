#pragma once

#include "kv/page.h"

#if defined(__SANITIZE_ADDRESS__)
#define CONCORDAT_ADDRESS_SANITIZER true
#elif defined(__has_feature)
#define CONCORDAT_ADDRESS_SANITIZER __has_feature(address_sanitizer)
#else
#define CONCORDAT_ADDRESS_SANITIZER false
#endif

namespace concordat::kv
{
/// The address sanitizer is to see every page by itself, and every use of one that was given back.
constexpr bool pages_from_malloc = CONCORDAT_ADDRESS_SANITIZER;
#undef CONCORDAT_ADDRESS_SANITIZER

/// Memory of `page_bytes`, aligned to a cache line. Any thread may call; a page may be given back in another thread
/// than it was taken in.
///
/// A batch of writes takes and gives back thousands of pages of one size. They come from large regions (the kernel
/// is asked for huge pages: a random access in a large map costs one miss less) and go through lists in each thread.
/// Pages given back serve later pages; they do not go back to the kernel.
void* take_page_memory();
void give_page_memory(void* memory);
}
