#pragma once

#include "base/encoding.h"
#include "base/files.h"
#include "concordat/transaction.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace concordat::crypto
{
/// What a service and a node of another program signed, picked out of the bytes of a ledger that it wrote. That ledger
/// is no part of this project: CONCORDAT_REFERENCE names the directory that has it below `ledgers`; without it it is
/// looked for beside the checkout.
class ForeignSignatures : public testing::Test
{
protected:
  struct Signature
  {
    std::string txid;
    Digest root;
    std::string message; ///< COSE_Sign1 of the service
    std::string node;
    std::string node_cert;
    std::string node_signature;
  };

  void SetUp() override
  {
    const char* const given = std::getenv("CONCORDAT_REFERENCE");
    const auto service = std::string(given ? given : "../shared/reference") + "/ledgers/service_a";
    base::RealFileSystem files;
    if (!files.exists(service))
      GTEST_SKIP() << "not run: '" << service << "' is not there (CONCORDAT_REFERENCE says where it is)";
    service_cert = files.read(service + "/common/service_cert.pem").value();
    const auto ledger = files.read(service + "/ledger/ledger_29-46.committed").value();
    const std::string cose_table = "public:ccf.internal.cose_signatures";
    for (auto at = ledger.find(cose_table); at != std::string::npos; at = ledger.find(cose_table, at + 1))
    {
      const auto cose = ledger.find('"', at) + 1;
      const auto json = ledger.find("{\"cert\":", cose);
      const auto record = ledger.substr(json, ledger.find('}', json) - json);
      signatures.push_back(
          {number(record, "view") + "." + number(record, "seqno"),
           base::to_digest(base::from_hex(text(record, "root")).value()).value(),
           base::from_base64(ledger.substr(cose, ledger.find('"', cose) - cose)).value(), text(record, "node"),
           text(record, "cert"), base::from_base64(text(record, "sig")).value()});
    }
    ASSERT_GE(signatures.size(), 3U);
  }

  std::string service_cert;
  std::vector<Signature> signatures;

private:
  /// The value of a field of compact JSON; of all escapes, a certificate has line ends only.
  static std::string text(const std::string& json, const std::string& field)
  {
    const auto from = json.find("\"" + field + "\":\"") + field.size() + 4;
    auto value = json.substr(from, json.find('"', from) - from);
    for (auto at = value.find("\\n"); at != std::string::npos; at = value.find("\\n"))
      value.replace(at, 2, "\n");
    return value;
  }
  static std::string number(const std::string& json, const std::string& field)
  {
    const auto from = json.find("\"" + field + "\":") + field.size() + 3;
    return json.substr(from, json.find_first_not_of("0123456789", from) - from);
  }
};
}
