#pragma once

#include "concordat/application.h"
#include "kv/write_set.h"
#include "simulation/random.h"

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace concordat::simulation
{
/// What one request has its handler do: reads and writes in their order, and pauses in which others go on. The answer
/// names everything that was read, so that whoever knows the history can say what it must be.
struct Plan
{
  enum class Kind
  {
    get,
    put,
    remove,
    pause,
  };
  struct Step
  {
    Kind kind = Kind::get;
    std::string map = {};
    std::string key = {};
    std::string value = {};
  };

  std::vector<Step> steps;
  Digest claims{};

  /// Has at least one read, and writes only if `writes`.
  static Plan random(Random& random, bool writes);
  bool writes() const;
  kv::WriteSet write_set() const;
  /// @param before  what a key holds before the plan
  std::string
  answer(const std::function<std::optional<std::string>(const std::string& map, const std::string& key)>& before) const;
};

/// An application whose handlers do what the plan says whose number is the request's body.
class PlannedApplication : public Application
{
public:
  struct Events
  {
    std::function<void()> pause;
    /// The last that a handler does; its transaction is ordered next, if it is at all.
    std::function<void(std::size_t plan)> handled;
  };

  PlannedApplication(const std::deque<Plan>& plans, Events events) : plans_(plans), events_(std::move(events)) {}

  ApiInfo info() const override
  {
    return {"plans", "does what a plan says", "1", {}};
  }
  /// `POST /write` and `GET /read` at once; `POST /members/write` and `GET /members/read` on the pool, for members.
  std::vector<Endpoint> endpoints() override;

private:
  Response follow(Context& context, bool writes);

  const std::deque<Plan>& plans_;
  const Events events_;
};
}
