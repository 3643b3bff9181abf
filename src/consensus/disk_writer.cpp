#include "consensus/disk_writer.h"

#include "base/check.h"
#include "base/mutex.h"

#include <atomic>
#include <deque>
#include <utility>

namespace concordat::consensus
{
namespace
{
/// Writes are made durable together up to this, so that one who waits for the first does not wait for a disk to take
/// all that has gathered.
constexpr std::uint64_t bytes_of_one_sync = std::uint64_t{8} << 20;

std::uint64_t bytes_of(const Write& write)
{
  std::uint64_t bytes = 0;
  for (const auto& batch : write.batches)
    bytes += batch->descriptor.length;
  return bytes;
}
}

struct DiskWriter::Work
{
  /// Of one turn: writes, or a name.
  struct Turn
  {
    std::deque<Write> writes;
    std::optional<Seqno> name; ///< after the writes
    std::uint64_t era = 0;
  };

  Work(Promises& keeper, LedgerWriter& writer, std::function<void()> listener, Invariants* checked)
      : promises(keeper),
        ledger(writer),
        told(std::move(listener)),
        invariants(checked)
  {
  }

  Result<void> write_all(const std::deque<Write>& writes)
  {
    bool unsynced = false;
    const auto sync = [&]() -> Result<void>
    {
      if (!std::exchange(unsynced, false))
        return {};
      auto synced = ledger.sync();
      ++steps;
      return synced;
    };
    for (const auto& write : writes)
    {
      // What an earlier round stored, before a later one says anything of it: a state that counts entries which the
      // power takes away would tell a start of a log that was never there.
      if (write.state || write.cut_to)
        if (auto synced = sync(); !synced)
          return synced;
      // Term and vote before the entries: a ledger that reaches into a term which the sealed state lacks does not
      // start.
      if (auto saved = save(write); !saved)
        return saved;
      // The log may end with entries of a primary that was deposed before they were agreed on: cut, before others take
      // their place.
      if (write.cut_to)
        if (auto cut = ledger.truncate(*write.cut_to); !cut)
          return fail("cannot cut what was not agreed on", cut.error());
      for (const auto& batch : write.batches)
      {
        if (auto written = ledger.append(*batch); !written)
          return written;
        unsynced = true;
        ++steps;
      }
    }
    // One sync for the batches of all rounds; nobody hears of any of them before it.
    if (auto synced = sync(); !synced)
      return synced;
    if (invariants && !writes.back().batches.empty())
      invariants->stored(writes.back().batches.back()->descriptor.last);
    return {};
  }

  Result<void> save(const Write& write)
  {
    if (!write.state)
      return {};
    auto saved = promises.change(
        [&write](DurableState& state)
        {
          state.term = write.state->term;
          state.vote = write.state->vote;
          state.opened = write.state->opened;
        });
    ++steps;
    if (!saved)
      return fail("cannot store the state of consensus", saved.error());
    return {};
  }

  /// What is to be done next; nothing, and the job ends.
  std::optional<Turn> next() EXCLUDES(mutex)
  {
    const base::LockGuard lock(mutex);
    Turn turn;
    turn.era = era;
    std::uint64_t bytes = 0;
    while (!closed && !queue.empty() && (turn.writes.empty() || bytes + bytes_of(queue.front()) <= bytes_of_one_sync))
    {
      bytes += bytes_of(queue.front());
      turn.writes.push_back(std::move(queue.front()));
      queue.pop_front();
    }
    waiting -= bytes;
    // Behind all writes: what is committed was durable before, so nothing depends on when.
    if (!closed && queue.empty())
      turn.name = std::exchange(name, std::nullopt);
    running = !turn.writes.empty() || turn.name;
    if (running)
      return turn;
    submitted = false;
    idle.notify_all();
    return std::nullopt;
  }

  void run() EXCLUDES(mutex)
  {
    while (auto turn = next())
    {
      auto written = turn->writes.empty() ? Result<void>{} : write_all(turn->writes);
      if (!turn->writes.empty())
      {
        {
          const base::LockGuard lock(mutex);
          // Whoever asked has given up in the meantime, and counts anew.
          if (turn->era == era && !error)
          {
            if (written)
              stored = turn->writes.back().round;
            else
            {
              error = written.error();
              queue.clear();
              waiting = 0;
            }
          }
        }
        told();
      }
      if (turn->name && written)
        ledger.commit(*turn->name);
      ++steps;
    }
  }

  /// Of a job that gets no turn.
  void end(const Error& why) EXCLUDES(mutex)
  {
    const base::LockGuard lock(mutex);
    submitted = false;
    error = why;
    queue.clear();
    waiting = 0;
  }

  Promises& promises;
  LedgerWriter& ledger;
  const std::function<void()> told;
  Invariants* const invariants;
  std::atomic<std::uint64_t> steps{0};

  base::Mutex mutex;
  base::CondVar idle; ///< no longer running
  std::deque<Write> queue GUARDED_BY(mutex);
  std::optional<Seqno> name GUARDED_BY(mutex);
  std::uint64_t waiting GUARDED_BY(mutex) = 0; ///< bytes in the queue
  std::uint64_t stored GUARDED_BY(mutex) = 0;
  std::optional<Error> error GUARDED_BY(mutex);
  std::uint64_t era GUARDED_BY(mutex) = 0; ///< grows with each drop
  bool submitted GUARDED_BY(mutex) = false;
  bool running GUARDED_BY(mutex) = false;
  bool closed GUARDED_BY(mutex) = false;
};

DiskWriter::DiskWriter(
    Promises& promises, LedgerWriter& ledger, base::Executor* elsewhere, std::function<void()> told,
    Invariants* invariants)
    : work_(std::make_shared<Work>(promises, ledger, std::move(told), invariants)),
      elsewhere_(elsewhere)
{
}

DiskWriter::~DiskWriter()
{
  auto& work = *work_;
  base::UniqueLock lock(work.mutex);
  work.closed = true;
  work.queue.clear();
  work.name.reset();
  while (work.running)
    work.idle.wait(work.mutex);
}

Result<void> DiskWriter::write_here(const Write& write)
{
  CHECK(!is_busy(), "the files have one writer at a time");
  return work_->write_all({write});
}

void DiskWriter::write(Write write)
{
  CHECK(elsewhere_, "there is a place elsewhere");
  {
    const base::LockGuard lock(work_->mutex);
    if (work_->error)
      return; // which `stored` tells
    work_->waiting += bytes_of(write);
    work_->queue.push_back(std::move(write));
  }
  submit();
}

void DiskWriter::name_committed(Seqno seqno)
{
  CHECK(elsewhere_, "there is a place elsewhere");
  {
    const base::LockGuard lock(work_->mutex);
    work_->name = seqno;
  }
  submit();
}

/// One job does all that waits when its turn comes, and what comes while it runs.
void DiskWriter::submit()
{
  {
    const base::LockGuard lock(work_->mutex);
    if (work_->submitted)
      return;
    work_->submitted = true;
  }
  base::Job job;
  job.run = [work = work_] { work->run(); };
  job.refuse = [work = work_](base::Refusal)
  { work->end(Error{ErrorCode::unavailable, "what writes to the disk stops", nullptr}); };
  if (auto submitted = elsewhere_->submit(std::move(job)); !submitted)
    work_->end(submitted.error());
}

Result<std::uint64_t> DiskWriter::stored() const
{
  const base::LockGuard lock(work_->mutex);
  if (work_->error)
    return std::unexpected(*work_->error);
  return work_->stored;
}

bool DiskWriter::is_busy() const
{
  const base::LockGuard lock(work_->mutex);
  return work_->submitted;
}

std::uint64_t DiskWriter::bytes_waiting() const
{
  const base::LockGuard lock(work_->mutex);
  return work_->waiting;
}

std::uint64_t DiskWriter::steps() const
{
  return work_->steps;
}

void DiskWriter::drop()
{
  const base::LockGuard lock(work_->mutex);
  work_->queue.clear();
  work_->name.reset();
  work_->waiting = 0;
  work_->stored = 0;
  work_->error.reset();
  ++work_->era;
}
}
