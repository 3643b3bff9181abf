#include "plan.h"

#include <algorithm>
#include <map>
#include <utility>

namespace concordat::simulation
{
namespace
{
std::string line(const Plan::Step& step, const std::optional<std::string_view>& value)
{
  return step.map + " " + step.key + (value ? "=" + std::string(*value) : " is not there") + "\n";
}
}

Plan Plan::random(Random& random, bool writes)
{
  Plan plan;
  const auto count = 1 + random.below(5);
  for (std::uint64_t i = 0; i < count; ++i)
  {
    Step step;
    step.map = (random.one_in(2) ? "public:app.map" : "app.map") + std::to_string(random.below(3));
    step.key = "key" + std::to_string(random.below(30));
    const auto dice = random.below(10);
    if (!writes || dice < 4)
      step.kind = Kind::get;
    else if (dice < 6)
      step.kind = Kind::remove;
    else
    {
      step.kind = Kind::put;
      step.value = std::string(
          random.one_in(10) ? random.below(3000) : random.below(30), static_cast<char>('a' + random.below(26)));
    }
    plan.steps.push_back(std::move(step));
    if (random.one_in(4))
      plan.steps.push_back({Kind::pause});
  }
  if (!std::ranges::any_of(plan.steps, [](const Step& step) { return step.kind == Kind::get; }))
    plan.steps.push_back({Kind::get, "app.map0", "key" + std::to_string(random.below(30))});
  if (writes && random.one_in(3))
    plan.claims.fill(static_cast<std::uint8_t>(1 + random.below(255)));
  return plan;
}

bool Plan::writes() const
{
  return std::ranges::any_of(
      steps, [](const Step& step) { return step.kind == Kind::put || step.kind == Kind::remove; });
}

kv::WriteSet Plan::write_set() const
{
  kv::WriteSet writes;
  for (const auto& step : steps)
    if (step.kind == Kind::put)
      writes[step.map][step.key] = step.value;
    else if (step.kind == Kind::remove)
      writes[step.map][step.key] = std::nullopt;
  return writes;
}

std::string Plan::answer(
    const std::function<std::optional<std::string>(const std::string& map, const std::string& key)>& before) const
{
  std::string said;
  std::map<std::pair<std::string, std::string>, std::optional<std::string>> own;
  for (const auto& step : steps)
  {
    auto& [kind, map, key, value] = step;
    if (kind == Kind::put)
      own[{map, key}] = value;
    else if (kind == Kind::remove)
      own[{map, key}] = std::nullopt;
    else if (kind == Kind::get)
    {
      const auto written = own.find({map, key});
      said += line(step, written == own.end() ? before(map, key) : written->second);
    }
  }
  return said;
}

std::vector<Endpoint> PlannedApplication::endpoints()
{
  const auto made = [this](std::string method, std::string path, bool writes, bool members)
  {
    Endpoint endpoint;
    endpoint.method = std::move(method);
    endpoint.path = std::move(path);
    endpoint.mode = writes ? Mode::read_write : Mode::read_only;
    endpoint.policies = {members ? AuthPolicy::member_cert : AuthPolicy::no_auth};
    endpoint.place = members ? Place::pool : Place::io_thread;
    endpoint.handler = [this, writes](Context& context) { return follow(context, writes); };
    return endpoint;
  };
  return {
      made("POST", "/write", true, false), made("POST", "/members/write", true, true),
      made("GET", "/read", false, false), made("GET", "/members/read", false, true)};
}

Response PlannedApplication::follow(Context& context, bool writes)
{
  const auto number = std::stoul(context.request().body);
  const auto& plan = plans_.at(number);
  std::string said;
  for (const auto& step : plan.steps)
    switch (step.kind)
    {
    case Plan::Kind::get:
      said += line(step, context.state()->get(step.map, step.key));
      break;
    case Plan::Kind::put:
      context.transaction().put(step.map, step.key, step.value);
      break;
    case Plan::Kind::remove:
      context.transaction().remove(step.map, step.key);
      break;
    case Plan::Kind::pause:
      events_.pause();
      break;
    }
  if (writes && plan.claims != Digest{})
    context.transaction().set_claims_digest(plan.claims);
  events_.handled(number);
  return Response::text(std::move(said));
}
}
