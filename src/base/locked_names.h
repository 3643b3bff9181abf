#pragma once

#include "base/files.h"

#include <memory>
#include <set>

namespace concordat::base
{
/// The locks of a file system that exists in memory alone. Used by one thread; locks may outlive it.
class LockedNames
{
public:
  Result<std::unique_ptr<DirectoryLock>> lock(const Path& directory)
  {
    if (!held_->insert(directory).second)
      return fail(ErrorCode::exists, "another process is using the directory '" + directory + "'");
    return std::make_unique<Held>(held_, directory);
  }

private:
  class Held : public DirectoryLock
  {
  public:
    Held(std::shared_ptr<std::set<Path>> held, Path name) : held_(std::move(held)), name_(std::move(name)) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() override
    {
      held_->erase(name_);
    }

  private:
    std::shared_ptr<std::set<Path>> held_;
    Path name_;
  };

  std::shared_ptr<std::set<Path>> held_ = std::make_shared<std::set<Path>>();
};
}
