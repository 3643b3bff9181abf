#include "ledger/test_files.h"

#include <utility>

namespace concordat::ledger
{
class MemoryFileSystem::Handle : public base::File
{
public:
  Handle(MemoryFileSystem& system, std::shared_ptr<Content> content) : system_(system), content_(std::move(content)) {}

  Result<std::string> read_at(std::uint64_t offset, std::size_t size) const override
  {
    const auto& bytes = content_->bytes;
    return offset < bytes.size() ? bytes.substr(static_cast<std::size_t>(offset), size) : std::string();
  }
  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override
  {
    ++system_.writes;
    auto& content = content_->bytes;
    if (content.size() < offset + bytes.size())
      content.resize(static_cast<std::size_t>(offset) + bytes.size());
    content.replace(static_cast<std::size_t>(offset), bytes.size(), bytes);
    return {};
  }
  Result<void> truncate(std::uint64_t size) override
  {
    content_->bytes.resize(static_cast<std::size_t>(size));
    return {};
  }
  Result<std::uint64_t> size() const override
  {
    return content_->pretended_size != 0 ? content_->pretended_size : content_->bytes.size();
  }
  Result<void> sync() override
  {
    ++system_.syncs;
    return {};
  }

private:
  MemoryFileSystem& system_;
  std::shared_ptr<Content> content_;
};

void MemoryFileSystem::put(const base::Path& path, std::string bytes)
{
  files_[path] = std::make_shared<Content>(Content{std::move(bytes), 0});
}

const std::string& MemoryFileSystem::get(const base::Path& path) const
{
  return files_.at(path)->bytes;
}

void MemoryFileSystem::pretend_size(const base::Path& path, std::uint64_t size)
{
  files_.at(path)->pretended_size = size;
}

Result<std::unique_ptr<base::File>> MemoryFileSystem::open(const base::Path& path, base::OpenMode mode)
{
  const auto found = files_.find(path);
  if (mode == base::OpenMode::create && found != files_.end())
    return fail(ErrorCode::exists, "'" + path + "' exists");
  if (mode != base::OpenMode::create && found == files_.end())
    return fail(ErrorCode::not_found, "'" + path + "' does not exist");
  if (mode == base::OpenMode::create)
    put(path, "");
  return std::make_unique<Handle>(*this, files_.at(path));
}

Result<std::vector<std::string>> MemoryFileSystem::list(const base::Path& directory) const
{
  std::vector<std::string> names;
  for (const auto& [path, content] : files_)
    if (base::parent(path) == directory)
      names.push_back(path.substr(directory.size() + 1));
  return names;
}

bool MemoryFileSystem::exists(const base::Path& path) const
{
  return files_.contains(path);
}

Result<void> MemoryFileSystem::rename(const base::Path& from, const base::Path& to)
{
  const auto found = files_.find(from);
  if (found == files_.end())
    return fail(ErrorCode::not_found, "'" + from + "' does not exist");
  files_[to] = found->second;
  files_.erase(from);
  return {};
}

Result<void> MemoryFileSystem::remove(const base::Path& path)
{
  return files_.erase(path) == 1 ? Result<void>{} : fail(ErrorCode::not_found, "'" + path + "' does not exist");
}

Result<void> MemoryFileSystem::make_directory(const base::Path&)
{
  return {};
}

Result<void> MemoryFileSystem::sync_directory(const base::Path&)
{
  ++syncs;
  return {};
}
}
