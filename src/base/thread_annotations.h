#pragma once

/// What clang's -Wthread-safety needs to know about locks; nothing to other compilers. Used on what is guarded by a
/// `base::Mutex`, and on functions that expect it held (REQUIRES) or take it themselves (EXCLUDES).
#if defined(__clang__)
#define CONCORDAT_THREAD_ANNOTATION(attribute) __attribute__((attribute))
#else
#define CONCORDAT_THREAD_ANNOTATION(attribute)
#endif

// Abseil's headers define some of the same names, with the same meaning.
#undef GUARDED_BY
#undef PT_GUARDED_BY
#undef ACQUIRED_AFTER
#undef ACQUIRED_BEFORE
#undef NO_THREAD_SAFETY_ANALYSIS

// A member, or what a pointer member points to.
#define GUARDED_BY(mutex) CONCORDAT_THREAD_ANNOTATION(guarded_by(mutex))
#define PT_GUARDED_BY(mutex) CONCORDAT_THREAD_ANNOTATION(pt_guarded_by(mutex))
// A mutex: the order in which several are taken (clang checks it with -Wthread-safety-beta alone).
#define ACQUIRED_AFTER(...) CONCORDAT_THREAD_ANNOTATION(acquired_after(__VA_ARGS__))
#define ACQUIRED_BEFORE(...) CONCORDAT_THREAD_ANNOTATION(acquired_before(__VA_ARGS__))
// A function (or lambda, after its parameters): held by the caller, or not to be held by them because it is taken
// inside.
#define REQUIRES(...) CONCORDAT_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) CONCORDAT_THREAD_ANNOTATION(requires_shared_capability(__VA_ARGS__))
#define EXCLUDES(...) CONCORDAT_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
// A function that takes or gives back.
#define ACQUIRE(...) CONCORDAT_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) CONCORDAT_THREAD_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
#define RELEASE(...) CONCORDAT_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define RELEASE_SHARED(...) CONCORDAT_THREAD_ANNOTATION(release_shared_capability(__VA_ARGS__))
#define RELEASE_GENERIC(...) CONCORDAT_THREAD_ANNOTATION(release_generic_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) CONCORDAT_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define RETURN_CAPABILITY(mutex) CONCORDAT_THREAD_ANNOTATION(lock_returned(mutex))
// A class that is a lock, or that holds one while it lives.
#define CAPABILITY(name) CONCORDAT_THREAD_ANNOTATION(capability(name))
#define SCOPED_CAPABILITY CONCORDAT_THREAD_ANNOTATION(scoped_lockable)
// A function that is right for a reason that the analysis cannot see; say the reason beside it.
#define NO_THREAD_SAFETY_ANALYSIS CONCORDAT_THREAD_ANNOTATION(no_thread_safety_analysis)
