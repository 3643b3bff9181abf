#pragma once

#include "crypto/keys.h"

#include <string>

namespace concordat::consensus
{
/// Who signs, and what the signatures say.
struct Signer
{
  std::string node_id;
  crypto::KeyPair node_key;
  std::string node_certificate_pem; ///< endorsed by the service
  crypto::KeyPair service_key;
  std::string cose_issuer;
  std::string cose_subject;
};
}
