#include "consensus/signature.h"
#include "kv/write_set.h"
#include "ledger/secret_record.h"
#include "node/restore_test_support.h"
#include "node/tables.h"

namespace concordat::node::test
{
namespace
{
/// Which secret each entry lies under, in one or several histories of the same node.
class Nonces
{
public:
  void know(const Identity& identity)
  {
    for (const auto& [first, secret] : identity.ledger_secrets->periods())
      secrets_.emplace(secret->raw(), *secret);
  }
  /// @return how many entries share secret and nonce with another one
  int clashes(const std::vector<LedgerOnDisk>& histories)
  {
    std::map<std::pair<std::string, crypto::Iv>, std::string> used;
    std::set<std::string> seen;
    int clashes = 0;
    for (const auto& history : histories)
      for (const auto& bytes : history.entries)
      {
        if (!seen.insert(bytes).second)
          continue;
        const auto entry = ledger::parse_entry(bytes).value();
        const auto secret =
            std::ranges::find_if(secrets_, [&](const auto& one) { return entry.open(one.second).has_value(); });
        if (secret == secrets_.end())
        {
          ADD_FAILURE() << entry.txid.to_string() << " lies under a secret that no sealed identity knows";
          continue;
        }
        if (!used.emplace(std::pair(secret->first, entry.iv), bytes).second)
          ++clashes;
      }
    return clashes;
  }

private:
  std::map<std::string, ledger::LedgerSecret> secrets_;
};

std::optional<ledger::SecretRecord> record_in(const kv::WriteSet& writes)
{
  const auto table = writes.find(ledger::secret_history_table);
  if (table == writes.end())
    return std::nullopt;
  return ledger::SecretRecord::from_json(*table->second.at(std::string(ledger::single_key))).value();
}
}

class Restore : public NodeOnDisk
{
protected:
  Folder home_ = root_ / "home";
};

TEST_F(Restore, AStartUsesAFreshSecretFromItsFirstEntryOn)
{
  live(home_);
  const auto before = ledger(home_).entries.size();
  for (int starts = 0; starts < 3; ++starts)
    live(home_);
  const auto all = ledger(home_);
  const auto own = identity(home_);
  const auto periods = own.ledger_secrets->periods();
  ASSERT_EQ(periods.size(), 4U);
  EXPECT_EQ(periods[1].first, before + 1) << "not even one entry of the new life lies under the old secret";
  for (std::size_t i = 0; i < periods.size(); ++i)
  {
    const auto end = i + 1 < periods.size() ? periods[i + 1].first : all.entries.size() + 1;
    for (auto seqno = periods[i].first; seqno < end; ++seqno)
      for (std::size_t j = 0; j < periods.size(); ++j)
        EXPECT_EQ(ledger::parse_entry(all.entries[seqno - 1])->open(*periods[j].secret).has_value(), i == j) << seqno;
  }
}

TEST_F(Restore, TheNewestSecretOpensAllThatCameBeforeAlongTheRecords)
{
  for (int starts = 0; starts < 4; ++starts)
    live(home_);
  const auto all = ledger(home_);
  const auto own = identity(home_);
  const auto periods = own.ledger_secrets->periods();
  std::vector<std::pair<Seqno, ledger::SecretRecord>> records;
  for (Seqno seqno = 1; seqno <= all.entries.size(); ++seqno)
    if (const auto record = record_in(all.public_writes(seqno)))
      records.emplace_back(seqno, *record);
  ASSERT_EQ(records.size(), 4U);
  EXPECT_EQ(records[0].second.next_first, 1U) << "the service opened with its first secret";
  EXPECT_TRUE(records[0].second.sealed_previous.empty());
  for (std::size_t i = 1; i < records.size(); ++i)
  {
    const auto& [seqno, record] = records[i];
    EXPECT_EQ(record.next_first, seqno) << "that entry itself lies under the new secret";
    EXPECT_EQ(record.previous_write, records[i - 1].first);
    EXPECT_EQ(record.previous_first, records[i - 1].second.next_first);
    EXPECT_TRUE(record.check(*periods[i - 1].secret, periods[i - 1].first, *periods[i].secret, seqno));
  }
}

TEST_F(Restore, NoNonceIsUsedTwiceUnderOneSecretWhateverIsPutBack)
{
  chunk_size_ = "2KB";
  live(home_);
  live(home_);
  const auto then = copy(home_, "then");
  live(home_);
  live(home_);
  const std::vector<std::vector<std::string>> choices = {
      {"ledger"},
      {"sealed"},
      {"ledger", "sealed"},
      {"sealed/identity.sealed"},
      {"sealed/consensus.sealed"},
      {"ledger", "sealed/identity.sealed"},
      {"ledger", "sealed/consensus.sealed"}};
  int went_on = 0;
  for (const auto& choice : choices)
  {
    Nonces nonces;
    nonces.know(identity(home_));
    std::vector<LedgerOnDisk> histories{ledger(home_), ledger(then)};
    // Once more from the same copy, as if both were run at once.
    for (const auto* const name : {"one", "two"})
    {
      const auto fork = copy(home_, name);
      for (const auto& what : choice)
        put_back(then, fork, what);
      for (int starts = 0; starts < 2; ++starts)
        if (start(fork, {.accept_loss = true}))
          ++went_on;
      nonces.know(identity(fork));
      histories.push_back(ledger(fork));
    }
    EXPECT_EQ(nonces.clashes(histories), 0) << choice.front() << " and " << choice.size() - 1 << " more";
  }
  EXPECT_GE(went_on, 8) << "most of them could be started, so that something was written";
}

TEST_F(Restore, ASecretIsSealedBeforeItIsUsed)
{
  live(home_);
  const auto before = ledger(home_).entries.size();
  // The disk takes no change of the ledger, so that the start ends before anything is encrypted.
  class Full : public base::RealFileSystem
  {
  public:
    Result<std::unique_ptr<base::File>> open(const base::Path& path, base::OpenMode mode) override
    {
      if (mode == base::OpenMode::create && path.find("identity.sealed") != base::Path::npos)
        return fail(ErrorCode::no_space, "no room");
      return RealFileSystem::open(path, mode);
    }
  } full;
  const auto node = Node::start(configuration(home_), std::make_unique<NoApplication>(), full, clock_, *platform_);
  ASSERT_FALSE(node);
  EXPECT_NE(node.error().describe().find("cannot seal the new ledger secret"), std::string::npos);
  EXPECT_EQ(ledger(home_).entries.size(), before) << "nothing was written under a secret that nobody would know";
  live(home_);
}

TEST_F(Restore, NoSecretLiesInAFileAsItIs)
{
  live(home_);
  live(home_);
  const auto own = identity(home_);
  std::vector<std::string> secrets;
  for (const auto& [first, secret] : own.ledger_secrets->periods())
    secrets.push_back(secret->raw());
  ASSERT_EQ(secrets.size(), 2U);
  // What follows the header of a PEM text is the same bytes for each key of the curve.
  for (const auto& pem : {own.node_key.private_pem(), own.service_key.private_pem(), own.encryption_private_key_pem})
    secrets.push_back(pem.substr(pem.size() / 2, 30));
  std::size_t files = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(home_))
  {
    if (!file.is_regular_file())
      continue;
    ++files;
    const auto content = files_.read(file.path().string()).value();
    for (const auto& secret : secrets)
      for (const auto& form : {secret, base::to_hex(secret), base::to_base64(secret).substr(0, 40)})
        EXPECT_EQ(content.find(form), std::string::npos) << file.path();
  }
  EXPECT_GT(files, 4U);
}

TEST_F(Restore, AnOlderLedgerBesideNewerSealedStateIsRefusedNamingTheFirstTransactionMissing)
{
  live(home_);
  const auto then = copy(home_, "then");
  const auto kept = ledger(home_).last().seqno;
  live(home_);
  put_back(then, home_, "ledger");
  const auto why = refusal(home_);
  EXPECT_NE(why.find("lacks transaction " + std::to_string(kept + 1) + " "), std::string::npos) << why;
  EXPECT_NE(why.find("--accept-loss"), std::string::npos) << why;
}

TEST_F(Restore, APartlyDeletedLedgerIsRefused)
{
  chunk_size_ = "2KB";
  for (int starts = 0; starts < 4; ++starts)
    live(home_);
  const auto whole = copy(home_, "whole");
  int removed = 0;
  for (const auto& file : std::filesystem::directory_iterator(whole / "ledger"))
  {
    ++removed;
    put_back(whole, home_, "ledger");
    std::filesystem::remove(home_ / "ledger" / file.path().filename());
    const auto why = refusal(home_);
    EXPECT_TRUE(why.find("lacks transaction ") != std::string::npos || why.find(" is expected") != std::string::npos)
        << file.path().filename() << ": " << why;
  }
  EXPECT_GT(removed, 2);
  std::filesystem::remove_all(home_ / "ledger");
  std::filesystem::create_directory(home_ / "ledger");
  const auto why = refusal(home_);
  EXPECT_NE(why.find("lacks transaction 1 "), std::string::npos) << why;
  EXPECT_NE(refusal(home_, {.accept_loss = true}).find("is empty"), std::string::npos) << "no service is left to go on";
}

TEST_F(Restore, AnAcknowledgedBatchThatIsDamagedAtTheEndIsRefusedAndNotCut)
{
  live(home_);
  live(home_);
  const auto whole = copy(home_, "whole");
  const auto all = ledger(home_);
  const auto file = home_ / "ledger" / all.last_file.filename();
  const auto bytes = files_.read(file.string()).value();
  const auto last_size = all.entries.back().size();
  // In the framing, the cipher text or tag of the signature, and of the entry before it; and cut anywhere.
  for (const auto back : {last_size - 1, last_size - 9, std::size_t{1}, last_size + 1, last_size + 30})
  {
    auto damaged = bytes;
    damaged[bytes.size() - back] ^= 0x55;
    put(file, damaged);
    auto why = refusal(home_);
    EXPECT_NE(why.find("lacks transaction "), std::string::npos) << back << ": " << why;
    put(file, bytes.substr(0, bytes.size() - back));
    why = refusal(home_);
    EXPECT_NE(why.find("lacks transaction "), std::string::npos) << back << ": " << why;
  }
  put(file, bytes);
  live(home_);
}

TEST_F(Restore, ABatchBeyondTheMarkThatACrashToreIsCut)
{
  live(home_);
  const auto sealed = durable(home_).mark;
  live(home_);
  auto state = durable(home_);
  state.mark = sealed; // as if the process had been killed before it sealed another one
  auto sealing = sealed_files();
  ASSERT_TRUE(SealedState(files_, sealing, (home_ / "sealed").string()).save(state));
  const auto all = ledger(home_);
  const auto file = home_ / "ledger" / all.last_file.filename();
  const auto bytes = files_.read(file.string()).value();
  put(file, bytes.substr(0, bytes.size() - 5));
  live(home_);
  EXPECT_EQ(ledger(home_).entries[all.entries.size() - 3], all.entries[all.entries.size() - 3]);
  EXPECT_NE(ledger(home_).entries[all.entries.size() - 2], all.entries[all.entries.size() - 2]) << "its whole batch";
}

TEST_F(Restore, AnotherHistoryThatReachesTheMarkIsRefused)
{
  live(home_);
  const auto fork = copy(home_, "fork");
  live(home_);
  live(fork);
  live(fork);
  put_back(fork, home_, "ledger");
  put_back(fork, home_, "sealed/identity.sealed");
  const auto why = refusal(home_);
  EXPECT_NE(why.find("another history"), std::string::npos) << why;
}

TEST_F(Restore, AnAcceptedLossIsRecordedInTheLedger)
{
  live(home_);
  const auto then = copy(home_, "then");
  const auto kept = ledger(home_).last();
  live(home_);
  const auto lost = durable(home_).mark;
  put_back(then, home_, "ledger");
  live(home_, {.accept_loss = true});
  const auto all = ledger(home_);
  ASSERT_GT(all.entries.size(), kept.seqno);
  const auto writes = all.public_writes(kept.seqno + 1);
  ASSERT_TRUE(writes.contains(tables::accepted_losses)) << "in the first transaction after the loss";
  std::string key;
  base::append_le<std::uint64_t>(key, kept.seqno + 1);
  const auto row = writes.find(tables::accepted_losses)->second.at(key).value();
  EXPECT_EQ(
      row, R"({"committed":")" + lost.txid.to_string() + R"(","first_missing":)" + std::to_string(kept.seqno + 1) +
               R"(,"kept":")" + kept.to_string() + R"(","root":")" + base::to_hex(base::as_view(lost.root)) + R"("})");
  live(home_); // and that is settled
}

TEST_F(Restore, AcceptingALossThatIsNoneRecordsNothing)
{
  live(home_);
  live(home_, {.accept_loss = true});
  const auto all = ledger(home_);
  for (Seqno seqno = 1; seqno <= all.entries.size(); ++seqno)
    EXPECT_FALSE(all.public_writes(seqno).contains(tables::accepted_losses)) << seqno;
}

TEST_F(Restore, ASealedIdentityOlderThanTheLedgerIsRefusedWithTheReason)
{
  live(home_);
  const auto then = copy(home_, "then");
  live(home_);
  put_back(then, home_, "sealed/identity.sealed");
  const auto why = refusal(home_);
  EXPECT_NE(why.find("the sealed directory was put back from an older copy"), std::string::npos) << why;
}

TEST_F(Restore, ASealedIdentityWithoutAKeyForSecretsIsRefused)
{
  live(home_);
  auto without = identity(home_);
  without.encryption_private_key_pem = "";
  auto sealed = sealed_files();
  ASSERT_TRUE(SealedState(files_, sealed, (home_ / "sealed").string()).save_identity(without));
  const auto why = refusal(home_);
  EXPECT_NE(why.find("no key that ledger secrets could be wrapped for"), std::string::npos) << why;
}

TEST_F(Restore, TwoProcessesNeverWriteOneLedgerDirectory)
{
  live(home_);
  const auto copied = copy(home_ / "sealed", "copied sealed");
  const auto running = start(home_);
  ASSERT_TRUE(running) << running.error().describe();
  auto second = configuration(home_);
  second.sealed_directory = copied.string();
  const auto before = contents(home_ / "ledger");
  const auto refused = start(second);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().describe().find("another process is using the directory"), std::string::npos);
  EXPECT_EQ(contents(home_ / "ledger"), before);
}
}
