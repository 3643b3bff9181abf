#pragma once

#include "concordat/error.h"
#include "concordat/transaction.h"
#include "crypto/certificate.h"
#include "crypto/keys.h"
#include "ledger/secrets.h"

#include <boost/json/value.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

/// What a node that joins and one that lets it in say to each other: bodies of `POST /node/join` (http-api.md §6.11).
/// Both sides read any bytes.
namespace concordat::node
{
/// What a node says of itself.
struct JoinRequest
{
  boost::json::object node_to_node_interface;
  boost::json::object rpc_interfaces; ///< by name
  std::string format;                 ///< of the evidence
  std::string quote;                  ///< raw
  std::string endorsements;           ///< raw
  std::string public_encryption_key;  ///< PEM, RSA
  Seqno startup_seqno = 0;
  std::string certificate_signing_request; ///< PEM; empty if there is none
  boost::json::value node_data;
};

std::string write_join_request(const JoinRequest& request);

/// Addresses are well-formed, the key is an RSA key; of evidence and signing request only the size is looked at.
/// @return Error::invalid naming the field that is missing, wrong or too large
Result<JoinRequest> read_join_request(std::string_view body);

/// What only a trusted node of the service knows. Never logged.
struct NetworkInfo
{
  std::shared_ptr<ledger::LedgerSecrets> ledger_secrets; ///< never null
  crypto::KeyPair service_key;
  std::string service_certificate; ///< PEM
  std::string service_status;
  std::string endorsed_certificate; ///< PEM, of the node that joined
  std::string cose_issuer;
  std::string cose_subject;
};

struct JoinAnswer
{
  std::string node_status; ///< `Pending` or `Trusted`
  std::string node_id;     ///< may be empty
  std::optional<NetworkInfo> network;
};

/// What is written is a secret.
struct NetworkInfoView
{
  const ledger::LedgerSecrets& ledger_secrets;
  const crypto::KeyPair& service_key;
  std::string_view service_certificate;
  std::string_view service_status;
  std::string_view endorsed_certificate;
  std::string_view cose_issuer;
  std::string_view cose_subject;
};
/// @param network  null unless the node is trusted
boost::json::object
write_join_answer(std::string_view node_status, std::string_view node_id, const NetworkInfoView* network);

/// Checks the parts against each other: the service's key against its certificate and against the one that is believed,
/// the node's certificate against both keys, and the secrets.
/// @param service  the certificate of the service that the operator named
/// @param node_key of the node that joins
/// @return Error::invalid saying what is wrong, without any of the content
Result<JoinAnswer>
read_join_answer(std::string_view body, const crypto::Certificate& service, const crypto::PublicKey& node_key);
}
