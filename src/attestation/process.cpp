#include "attestation/process.h"

#include "base/check.h"
#include "base/files.h"
#include "crypto/hash.h"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace concordat::attestation
{
void harden_process()
{
  const rlimit none{0, 0};
  CHECK(::setrlimit(RLIMIT_CORE, &none) == 0, "a process may always lower its limits");
  // The limit alone does not stop a handler that the kernel pipes core files to.
  CHECK(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, "a process may always make itself undumpable");
}

Result<Digest> executable_digest()
{
  base::RealFileSystem files;
  const auto content = files.read("/proc/self/exe");
  if (!content)
    return fail("cannot read the executable file of this process", content.error());
  return crypto::sha256(*content);
}
}
