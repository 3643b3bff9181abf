#include "consensus/signature.h"
#include "crypto/cose.h"
#include "ledger/secret_record.h"
#include "ledger/signature.h"
#include "ledger/wrapped_secret.h"
#include "node/restore_test_support.h"
#include "node/tables.h"

namespace concordat::node::test
{
namespace
{
/// What somebody writes who knows the ledger secret, so that every tag is right.
class Forgery : public NodeOnDisk
{
protected:
  Forgery()
  {
    live(home_);
    live(home_);
    all_ = ledger(home_);
  }
  Identity known()
  {
    return identity(home_);
  }
  consensus::Signer signer(const Identity& identity)
  {
    const auto pem = files_.read((home_ / "service_cert.pem").string()).value();
    const auto service = crypto::Certificate::from_pem(pem).value();
    const auto node = crypto::issue(
        identity.node_key.public_key(), {"CN=node", {}, clock_.unix_seconds(), 1, false}, identity.service_key,
        service);
    return {identity.node_id(), identity.node_key, node->pem(), identity.service_key, "", ""};
  }
  /// Appends a batch that makes somebody a member, signed as `change` wants it.
  void
  forge(const Identity& secrets, const consensus::Signer& signer, const std::function<void(kv::WriteSet&)>& change = {})
  {
    auto tree = all_.tree();
    std::string bytes;
    const auto add = [&](const kv::WriteSet& writes)
    {
      const TxId txid{all_.last().view, tree.size()};
      std::string maps;
      kv::encode(writes, kv::Domain::public_maps, maps);
      const auto entry = ledger::encode_entry(secrets.ledger_secrets->at(txid.seqno), txid, 0, {}, maps, {});
      tree.append(entry.leaf);
      bytes += entry.bytes;
    };
    auto member = first_;
    member[std::string(tables::member_certs)]["somebody"] = "whom nobody admitted";
    add(member);
    auto signature = consensus::signature_writes(
        signer, {all_.last().view, tree.size()}, tree.root(), tree.serialise(), clock_.unix_seconds());
    if (change)
      change(signature);
    add(signature);

    const auto file = home_ / "ledger" / all_.last_file.filename();
    put(file, files_.read(file.string()).value() + bytes);
  }
  Folder home_ = root_ / "home";
  LedgerOnDisk all_;
  kv::WriteSet first_; ///< what else the first entry of the batch writes
};
}

TEST_F(Forgery, WithAllKeysItWouldBeALedgerLikeAnyOther)
{
  forge(known(), signer(known()));
  live(home_);
  EXPECT_TRUE(ledger(home_).public_writes(all_.entries.size() + 1).contains(tables::member_certs));
}

TEST_F(Forgery, WithoutAnySigningKeyItIsRefused)
{
  const auto key = crypto::KeyPair::generate(crypto::Curve::p256);
  const auto own = crypto::self_signed(key, {"CN=node", {}, clock_.unix_seconds(), 1, true})->pem();
  forge(known(), {key.public_key().id(), key, own, key, "", ""});
  EXPECT_NE(refusal(home_).find("has not endorsed the certificate"), std::string::npos);
}

TEST_F(Forgery, WithTheKeyOfANodeAloneItIsRefused)
{
  auto by_node = signer(known());
  by_node.service_key = crypto::KeyPair::generate(crypto::Curve::p256);
  forge(known(), by_node);
  EXPECT_NE(refusal(home_).find("the service's signature"), std::string::npos);
}

TEST_F(Forgery, WithTheServicesKeyButNoNodesItIsRefused)
{
  auto by_service = signer(known());
  by_service.node_key = crypto::KeyPair::generate(crypto::Curve::p256);
  forge(known(), by_service);
  EXPECT_NE(refusal(home_).find("the node's signature does not verify"), std::string::npos);
}

TEST_F(Forgery, WithSignaturesOfAnEarlierTransactionItIsRefused)
{
  const auto newest = all_.public_writes(all_.entries.size());
  const auto key = std::string(ledger::single_key);
  const auto take = [&](std::string_view table)
  {
    return [&, table](kv::WriteSet& signature)
    { signature[std::string(table)][key] = newest.find(table)->second.at(key); };
  };
  forge(known(), signer(known()), take(ledger::cose_signatures_table));
  EXPECT_NE(refusal(home_).find("the service's signature"), std::string::npos);
}

TEST_F(Forgery, WithTheServicesSignatureForAnotherTransactionItIsRefused)
{
  const auto own = known();
  const auto key = std::string(ledger::single_key);
  forge(
      own, signer(own),
      [&](kv::WriteSet& signature)
      {
        const auto record =
            ledger::SignatureRecord::from_json(*signature[std::string(ledger::signatures_table)][key]).value();
        const auto cose = crypto::cose_sign_root(own.service_key, record.root, {0, "", "", all_.last()});
        signature[std::string(ledger::cose_signatures_table)][key] = "\"" + base::to_base64(cose) + "\"";
      });
  EXPECT_NE(refusal(home_).find("the service signed this root for"), std::string::npos);
}

TEST_F(Forgery, WithoutTheServicesSignatureItIsRefused)
{
  forge(
      known(), signer(known()),
      [](kv::WriteSet& signature) { signature.erase(std::string(ledger::cose_signatures_table)); });
  EXPECT_NE(refusal(home_).find("the service has not signed"), std::string::npos);
}

TEST_F(Forgery, AnEarlierOneIsFoundThoughALaterSignatureIsGood)
{
  // The signer changes after the forged batch, so that the newest signature of each is looked at.
  const auto key = crypto::KeyPair::generate(crypto::Curve::p256);
  const auto own = crypto::self_signed(key, {"CN=node", {}, clock_.unix_seconds(), 1, true})->pem();
  forge(known(), {key.public_key().id(), key, own, key, "", ""});
  all_ = ledger(home_);
  forge(known(), signer(known()));
  EXPECT_NE(refusal(home_).find("has not endorsed the certificate"), std::string::npos);
}

TEST_F(Forgery, AChangeOfSecretsIsRecordedByWhoKnewTheOneBefore)
{
  auto own = known();
  const auto first = all_.entries.size() + 1;
  own.ledger_secrets->add(first, ledger::LedgerSecret::generate());
  auto sealed = sealed_files();
  ASSERT_TRUE(SealedState(files_, sealed, (home_ / "sealed").string()).save_identity(own));
  const auto before = copy(home_, "before");
  const auto record = [&](const std::string& text)
  {
    put_back(before, home_, "ledger");
    first_.clear();
    if (!text.empty())
      first_[std::string(ledger::secret_history_table)][std::string(ledger::single_key)] = text;
    forge(own, signer(own));
  };
  record("");
  EXPECT_NE(refusal(home_).find("it is not recorded there"), std::string::npos);
  record("{}");
  EXPECT_NE(refusal(home_).find("does not name its own entry"), std::string::npos);

  ledger::LedgerSecrets others(ledger::LedgerSecret::generate());
  others.add(own.ledger_secrets->since(first - 1), ledger::LedgerSecret::generate());
  others.add(first, own.ledger_secrets->at(first));
  record(ledger::SecretRecord::of_change(others, first, std::nullopt).to_json());
  EXPECT_NE(refusal(home_).find("seals another one than the one before"), std::string::npos);

  record(ledger::SecretRecord::of_change(*own.ledger_secrets, first, std::nullopt).to_json());
  live(home_);
}

TEST_F(Forgery, AChangeToASecretThatIsNotSealedMustBeWrappedForThisNode)
{
  auto own = known();
  const auto first = all_.entries.size() + 1;
  own.ledger_secrets->add(first, ledger::LedgerSecret::generate());
  const auto before = copy(home_, "before");
  const auto key = std::string(ledger::single_key);
  const auto change = [&](const ledger::LedgerSecrets& secrets, const std::optional<std::string>& wraps)
  {
    put_back(before, home_, "ledger");
    first_.clear();
    first_[std::string(ledger::secret_history_table)][key] =
        ledger::SecretRecord::of_change(secrets, first, std::nullopt).to_json();
    if (wraps)
      first_[std::string(ledger::wrapped_secrets_table)][key] = *wraps;
    forge(own, signer(own));
  };
  const auto wrap = [&](const std::string& node, const std::string& pem)
  {
    return ledger::wrap_secret(own.ledger_secrets->at(first), first, {{node, crypto::PublicKey::from_pem(pem).value()}})
        .value();
  };

  change(*own.ledger_secrets, std::nullopt);
  EXPECT_NE(refusal(home_).find("not wrapped for this node"), std::string::npos);
  change(*own.ledger_secrets, wrap("another", own.encryption_public_key_pem));
  EXPECT_NE(refusal(home_).find("not wrapped for this node"), std::string::npos);

  // Anybody can wrap: it must also seal the secret before.
  ledger::LedgerSecrets others(ledger::LedgerSecret::generate());
  others.add(own.ledger_secrets->since(first - 1), ledger::LedgerSecret::generate());
  others.add(first, own.ledger_secrets->at(first));
  change(others, wrap(own.node_id(), own.encryption_public_key_pem));
  EXPECT_NE(refusal(home_).find("seals another one than the one before"), std::string::npos);

  change(*own.ledger_secrets, wrap(own.node_id(), own.encryption_public_key_pem));
  live(home_);
  EXPECT_EQ(known().ledger_secrets->at(first).raw(), own.ledger_secrets->at(first).raw());
}
}
