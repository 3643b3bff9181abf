#include "node/request_ids.h"

#include "base/encoding.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "node/answers.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

namespace concordat::node
{
namespace
{
constexpr std::string_view ours = "x-concordat-";
constexpr std::string_view characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
constexpr char of_known = '\0';
constexpr char of_strangers = '\1';

std::string share_of(const RequestIds::Asker& asker)
{
  return asker.stranger ? std::string(1, of_strangers) : of_known + asker.digest;
}

std::string key_of(bool stranger, const RequestIds::Asker& asker, std::string_view id)
{
  return (stranger ? of_strangers : of_known) + asker.digest + std::string(id);
}

/// A first answer as a row holds it: 32 bytes of the request's digest, u16 status (0: the answer was not kept), u16
/// number of headers, their names and values, the body; each text a u32 length and its bytes. Little-endian.
void append_text(std::string& out, std::string_view text)
{
  base::append_le(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

Result<std::string> read_text(base::Reader& from)
{
  const auto size = from.le<std::uint32_t>();
  if (!size)
    return std::unexpected(size.error());
  const auto text = from.take(*size);
  return text ? Result<std::string>(std::string(*text)) : std::unexpected(text.error());
}

std::string encode(const Digest& content, const Response& response, bool kept)
{
  std::string row(base::as_view(content));
  base::append_le(row, static_cast<std::uint16_t>(kept ? response.status : 0));
  base::append_le(row, static_cast<std::uint16_t>(kept ? response.headers.size() : 0));
  if (!kept)
    return row;
  for (const auto& [name, value] : response.headers)
  {
    append_text(row, name);
    append_text(row, value);
  }
  append_text(row, response.body);
  return row;
}

/// Nothing instead of a response for an answer that was not kept.
Result<std::optional<Response>> decode(std::string_view row)
{
  base::Reader reader(row);
  if (const auto digest = reader.take(Digest{}.size()); !digest)
    return std::unexpected(digest.error());
  const auto status = reader.le<std::uint16_t>();
  const auto headers = reader.le<std::uint16_t>();
  if (!status || !headers)
    return fail(ErrorCode::corrupt, "an answer that was kept ends too early");
  if (*status == 0)
    return std::nullopt;
  Response response;
  response.status = *status;
  for (unsigned i = 0; i < *headers; ++i)
  {
    auto name = read_text(reader);
    auto value = name ? read_text(reader) : name;
    if (!value)
      return std::unexpected(value.error());
    response.headers.emplace_back(std::move(*name), std::move(*value));
  }
  auto body = read_text(reader);
  if (!body)
    return std::unexpected(body.error());
  response.body = std::move(*body);
  return response;
}
}

Result<std::optional<RequestName>> RequestName::of(const Request& request)
{
  const auto is_id = [](const auto& one) { return one.first == header; };
  const auto found = std::ranges::find_if(request.headers, is_id);
  if (found == request.headers.end())
    return std::nullopt;
  if (std::ranges::count_if(request.headers, is_id) != 1)
    return fail(ErrorCode::invalid, "the header x-concordat-request-id is given more than once");
  const auto& id = found->second;
  if (id.empty() || id.size() > longest || id.find_first_not_of(characters) != std::string::npos)
    return fail(
        ErrorCode::invalid,
        "the header x-concordat-request-id must be 1 to 64 letters, digits, hyphens, dots, underscores or tildes");

  std::string head;
  for (const std::string_view part :
       {std::string_view(request.method), std::string_view(request.path), std::string_view(request.query)})
    base::append_lp(head, part);
  for (const auto& [name, value] : request.headers)
    if (name == "content-type" ||
        (name.starts_with(ours) && name != header && name != "x-concordat-respond" && name != "x-concordat-after"))
    {
      base::append_lp(head, name);
      base::append_lp(head, value);
    }
  base::append_le<std::uint64_t>(head, head.size());
  return RequestName{id, crypto::sha256({head, request.body})};
}

std::optional<RequestIds::Asker> RequestIds::asker(const Caller& caller, std::string_view certificate)
{
  const auto digest = [](std::string_view kind, std::string_view id)
  { return std::string(base::as_view(crypto::sha256({kind, id}))); };
  // By its key: its certificate is renewed.
  if (caller.policy == AuthPolicy::node_cert)
    return Asker{digest("key", caller.id), false};
  if (certificate.empty())
    return std::nullopt;
  return Asker{
      digest("certificate", certificate),
      caller.policy != AuthPolicy::member_cert && caller.policy != AuthPolicy::user_cert};
}

std::optional<RequestIds::First>
RequestIds::find(kv::WriteTransaction& transaction, const RequestName& name, const Asker& asker) const
{
  std::optional<First> first;
  transaction.as_node(
      [&](Transaction& as_node)
      {
        // Under both: who was known when they asked first may not be any more.
        for (const bool stranger : {asker.stranger, !asker.stranger})
        {
          const auto key = key_of(stranger, asker, name.id);
          const auto row = as_node.get(table, key);
          if (!row)
            continue;
          if (!row->starts_with(base::as_view(name.content)))
          {
            first = First{answers::request_id_reused(), 0};
            return;
          }
          const auto seqno = as_node.version(table, key).value_or(0);
          auto kept = decode(*row);
          if (!kept)
          {
            spdlog::error("an answer that was kept for a repetition cannot be read: {}", kept.error().describe());
            first = First{answers::endpoint_failed(), 0};
            return;
          }
          first = First{*kept ? std::move(**kept) : answers::answer_not_kept(), seqno};
          first->response.headers.emplace_back("x-concordat-repetition", "true");
          return;
        }
      });
  return first;
}

bool RequestIds::must_look(const std::string& share)
{
  const base::LockGuard lock(mutex_);
  const auto found = since_look_.find(share);
  if (found != since_look_.end() && ++found->second < bounds_.look_interval)
    return false;
  if (found == since_look_.end() && since_look_.size() >= bounds_.known_shares)
    since_look_.clear();
  since_look_[share] = 0;
  return true;
}

void RequestIds::keep(
    kv::WriteTransaction& transaction, const RequestName& name, const Asker& asker, const Response& response)
{
  std::uint64_t head = 0;
  for (const auto& [header, value] : response.headers)
    head += header.size() + value.size();
  const bool kept = !response.stream && response.body.size() <= bounds_.longest_answer && head <= bounds_.longest_head;

  // Seen beside the transaction: what others add to the share at the same time is no conflict.
  std::vector<std::tuple<Seqno, std::string, std::uint64_t>> rows;
  std::uint64_t bytes = 0;
  if (const auto share = share_of(asker); must_look(share))
  {
    kv::SnapshotTransaction seen(transaction.base(), kv::RunBy::node);
    for (const auto cursor = seen.scan_prefix(table, share); cursor->next();)
    {
      const auto size = cursor->key().size() + cursor->value().size();
      rows.emplace_back(cursor->version(), cursor->key(), size);
      bytes += size;
    }
    std::ranges::sort(rows);
  }
  const auto room = bounds_.answers - std::min<std::size_t>(bounds_.answers, bounds_.look_interval);
  transaction.as_node(
      [&](Transaction& as_node)
      {
        auto left = rows.size();
        for (const auto& [seqno, key, size] : rows)
        {
          if (left <= room && bytes <= bounds_.bytes)
            break;
          as_node.remove(table, key);
          --left;
          bytes -= size;
        }
        as_node.put(table, key_of(asker.stranger, asker, name.id), encode(name.content, response, kept));
      });
}
}
