#include "consensus/readmission.h"

#include "base/log.h"

#include <algorithm>
#include <utility>

namespace concordat::consensus
{
namespace
{
constexpr std::size_t most_waiting = 1'024;
constexpr std::chrono::seconds between_words{10};

std::string list(const std::vector<EngineId>& ids)
{
  std::string out;
  for (const auto id : ids)
    out += (out.empty() ? "" : ", ") + std::to_string(id);
  return out;
}
}

Readmission::Readmission(
    Peers* peers, Readmit readmit, std::chrono::milliseconds interval, std::chrono::milliseconds patience)
    : peers_(peers),
      readmit_(std::move(readmit)),
      interval_(interval),
      patience_(patience)
{
}

void Readmission::hear(const std::string& node, std::string presence)
{
  const base::LockGuard lock(mutex_);
  // They call again.
  if (inbox_.size() < most_waiting)
    inbox_.emplace_back(node, std::move(presence));
}

bool Readmission::has_mail() const
{
  const base::LockGuard lock(mutex_);
  return !inbox_.empty();
}

void Readmission::begin(const Return& how, std::chrono::steady_clock::time_point now)
{
  call_.emplace(how.start, how.accept_loss);
  next_call_ = now;
  patient_from_ = now + patience_;
  next_word_ = now + patience_;
}

void Readmission::settle()
{
  settled_ = true;
}

void Readmission::take(const std::string& node, const std::string& bytes, const Here& here)
{
  auto heard = Presence::decode(bytes);
  if (!heard)
    return spdlog::warn("a message of node {} is dropped: {}", node, heard.error().describe());
  committed_.push_back(heard->applied);
  const auto known = peers_->ids_of(node);
  if (heard->answers != 0)
  {
    // Each of the two may know of ids that the other has not heard of yet. The one that it speaks under, and later
    // ones, may have acknowledged what counts: only its own word speaks for those.
    heard->former.insert(heard->former.end(), known.begin(), known.end());
    std::erase_if(heard->former, [&](EngineId id) { return id >= heard->id; });
    if (call_)
      call_->hear(node, *heard);
    return;
  }
  const auto agrees = [&](EngineId id) { return here.configuration.role(id) != Role::none; };
  auto answer = here.own;
  answer.answers = heard->start;
  const auto in_force = std::ranges::find_if(known.rbegin(), known.rend(), agrees);
  answer.receiver = in_force != known.rend() ? *in_force : known.empty() ? 0 : known.back();
  if (readmit_)
  {
    // Of who takes part already the id may have been given away after an earlier start: it is out under any.
    const bool is_out = heard->returning || !agrees(heard->id);
    const bool give = is_out && here.may_admit(std::max(heard->id, answer.receiver));
    const auto given = readmit_(here.committed, node, heard->start, give);
    // Any node may tell what is committed, but not before the id that it replaces is out of the agreement: where nobody
    // speaks under that any more, it would be missed by every majority until then.
    if (given && std::ranges::none_of(known, [&](EngineId id) { return id < *given && agrees(id); }))
      answer.admitted = *given;
  }
  peers_->answer_roll(node, answer.encode());
}

std::optional<RollCall::Verdict> Readmission::step(Here here)
{
  std::deque<std::pair<std::string, std::string>> all;
  {
    const base::LockGuard lock(mutex_);
    all.swap(inbox_);
  }
  auto& own = here.own;
  own.start = call_ ? call_->start() : 1; // of who only answers nobody looks at it
  own.former = peers_->ids_of("");
  if (call_)
  {
    // Under an id that it was given for an earlier start it does not take part.
    const auto newest = call_->id(own);
    own.returning = own.returning || newest != own.id;
    own.id = newest;
  }
  std::erase_if(own.former, [&](EngineId id) { return id >= own.id; });
  for (const auto& [node, bytes] : all)
    take(node, bytes, here);
  if (!call_)
    return std::nullopt;
  if (here.now >= next_call_ && (!settled_ || here.lonely))
  {
    next_call_ = here.now + interval_;
    peers_->call_roll(own.encode());
  }
  auto verdict = call_->verdict(own, here.now >= patient_from_);
  if (settled_)
    return verdict && verdict->admitted ? verdict : std::nullopt;
  if (!verdict && here.now >= next_word_)
  {
    next_word_ = here.now + between_words;
    const auto missing = call_->missing(own);
    if (missing.empty())
      spdlog::info("waits until the others have a primary, which readmits this node");
    else
      spdlog::info(
          "waits for a primary, or for every voter: nodes number {} have not answered. If they are gone for good, "
          "'--accept-loss' starts a majority without them",
          list(missing));
  }
  return verdict;
}
}
