#pragma once

#include "concordat/application.h"
#include "reconciliation/application.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace concordat::reconciliation::test
{
using Map = std::map<std::string, std::string, std::less<>>;
using Maps = std::map<std::string, Map, std::less<>>;

/// The least that a transaction can be: plain maps, and a count of what was read.
class MapTransaction : public Transaction
{
public:
  explicit MapTransaction(Maps maps) : maps_(std::move(maps)) {}

  std::optional<std::string_view> get(std::string_view map, std::string_view key) override
  {
    ++reads;
    const auto& entries = maps_[std::string(map)];
    const auto entry = entries.find(key);
    return entry == entries.end() ? std::nullopt : std::optional<std::string_view>(entry->second);
  }
  std::optional<Seqno> version(std::string_view, std::string_view) override
  {
    return std::nullopt;
  }
  std::unique_ptr<Cursor> scan(std::string_view map, std::string_view from, std::optional<std::string_view> to) override
  {
    ++reads;
    const auto& entries = maps_[std::string(map)];
    return std::make_unique<MapCursor>(entries.lower_bound(from), to ? entries.lower_bound(*to) : entries.end());
  }
  void put(std::string_view map, std::string_view key, std::string_view value) override
  {
    ++writes;
    maps_[std::string(map)][std::string(key)] = value;
  }
  void remove(std::string_view map, std::string_view key) override
  {
    ++writes;
    maps_[std::string(map)].erase(std::string(key));
  }
  void set_claims_digest(const Digest&) override {}

  const Maps& maps() const
  {
    return maps_;
  }
  int reads = 0;
  int writes = 0;

private:
  class MapCursor : public Cursor
  {
  public:
    MapCursor(Map::const_iterator begin, Map::const_iterator end) : next_(begin), end_(end) {}
    bool next() override
    {
      if (next_ == end_)
        return false;
      at_ = next_++;
      return true;
    }
    std::string_view key() const override
    {
      return at_->first;
    }
    std::string_view value() const override
    {
      return at_->second;
    }
    Seqno version() const override
    {
      return 1;
    }

  private:
    Map::const_iterator at_;
    Map::const_iterator next_;
    Map::const_iterator end_;
  };

  Maps maps_;
};

class FakeContext : public Context
{
public:
  FakeContext(Request request, Caller caller, std::string id, std::shared_ptr<MapTransaction> transaction)
      : request_(std::make_shared<Request>(std::move(request))),
        caller_(std::move(caller)),
        id_(std::move(id)),
        transaction_(std::move(transaction))
  {
  }
  const Request& request() const override
  {
    return *request_;
  }
  const Caller& caller() const override
  {
    return caller_;
  }
  std::string_view path_parameter(std::string_view) const override
  {
    return id_;
  }
  std::shared_ptr<ReadTransaction> state() override
  {
    return transaction_;
  }
  Transaction& transaction() override
  {
    return *transaction_;
  }
  bool is_member(std::string_view id) override
  {
    return id == "m0";
  }
  std::optional<Party> member(std::string_view id) override
  {
    return is_member(id) ? std::optional(Party{"PEM", nullptr}) : std::nullopt;
  }
  std::optional<Party> user(std::string_view) override
  {
    return std::nullopt;
  }

  /// As after a conflict. Whoever looks at the body once more finds it empty.
  void begin_again(std::shared_ptr<MapTransaction> transaction)
  {
    if (!first_request_)
      first_request_ = request_; // what was made of it points into its body
    request_ = std::make_shared<Request>(*first_request_);
    request_->body.clear();
    transaction_ = std::move(transaction);
  }

protected:
  std::shared_ptr<const void>& kept() override
  {
    return kept_;
  }

private:
  std::shared_ptr<Request> first_request_;
  std::shared_ptr<Request> request_;
  std::shared_ptr<const void> kept_;
  Caller caller_;
  std::string id_;
  std::shared_ptr<MapTransaction> transaction_;
};

inline Caller member(const std::string& id)
{
  return {.policy = AuthPolicy::member_cert, .id = id, .data = nullptr};
}

inline Caller user(const std::string& id, boost::json::value data = nullptr)
{
  return {.policy = AuthPolicy::user_cert, .id = id, .data = std::move(data)};
}

/// A service in a few maps: runs the application's endpoints as a node would, with transactions that commit on 2xx.
class Service
{
public:
  explicit Service(const Settings& settings = {})
  {
    application_ = *ReconciliationApplication::make({});
    endpoints_ = application_->endpoints();
    agree_on(settings);
  }

  void agree_on(const Settings& settings)
  {
    const auto write = governed_write(settings);
    maps[write.map][write.key] = write.value;
  }

  Response call(
      const std::string& method, const std::string& path, const Caller& caller, Request request = {},
      const std::string& id = "")
  {
    for (const auto& endpoint : endpoints_)
    {
      if (endpoint.method != method || endpoint.path != path)
        continue;
      request.method = method;
      request.path = path;
      auto transaction = std::make_shared<MapTransaction>(maps);
      FakeContext context(std::move(request), caller, id, transaction);
      auto response = endpoint.handler(context);
      for (int conflict = 0; conflict < conflicts; ++conflict)
      {
        transaction = std::make_shared<MapTransaction>(maps);
        context.begin_again(transaction);
        response = endpoint.handler(context);
      }
      reads = transaction->reads;
      writes = transaction->writes;
      if (response.ok() && endpoint.mode == Mode::read_write)
        maps = transaction->maps();
      return response;
    }
    return Response{.status = 404, .headers = {}, .body = {}, .stream = nullptr};
  }

  Response ingest(const Caller& caller, std::string body, Headers headers = {})
  {
    return call(
        "POST", "/ingest", caller,
        {.method = {}, .path = {}, .query = {}, .headers = std::move(headers), .body = std::move(body)});
  }
  Response ingest_csv(const Caller& caller, std::string body)
  {
    return call(
        "POST", "/csv/ingest", caller, {.method = {}, .path = {}, .query = {}, .headers = {}, .body = std::move(body)});
  }
  Response report(const Caller& caller, std::string query = "")
  {
    return call(
        "GET", "/report", caller, {.method = {}, .path = {}, .query = std::move(query), .headers = {}, .body = {}});
  }
  Response report_one(const Caller& caller, const std::string& id)
  {
    return call("GET", "/report/{id}", caller, {}, id);
  }

  Maps maps;
  int reads = 0;     ///< of the last call
  int writes = 0;    ///< of the last call
  int conflicts = 0; ///< how often each call is run again

private:
  std::unique_ptr<Application> application_;
  std::vector<Endpoint> endpoints_;
};

/// The whole body, also of a response that streams.
inline std::string body_of(Response& response)
{
  if (!response.stream)
    return response.body;
  std::string all;
  std::string piece;
  while (response.stream->next(piece))
    all += piece;
  return all;
}

inline boost::json::object json_of(Response response)
{
  return boost::json::parse(body_of(response)).as_object();
}

inline std::string content_of(Response response)
{
  return boost::json::serialize(json_of(std::move(response)).at("content"));
}

inline std::string error_type(Response response)
{
  return std::string(json_of(std::move(response)).at("error").at("errorType").as_string());
}

inline std::string read_sample(const std::string& name)
{
  const auto path = CONCORDAT_TEST_DATA "/samples/" + name;
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << "cannot read " << path << "; run from the root of the repository";
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}
}
