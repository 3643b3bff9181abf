#pragma once

#include "concordat/http.h"
#include "http/head_parser.h"
#include "http/target.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

namespace concordat::http
{
/// The head of one request as Beast reads it, and what is asked of it beyond its grammar. Beast's parsers cannot be
/// used twice.
class RequestMessage final : public HeadParser<true>
{
public:
  explicit RequestMessage(std::uint64_t max_body_size)
  {
    body_limit(max_body_size);
  }

  Request request;
  bool expects_continue = false;
  bool http_1_0 = false;

  /// What is wrong with a head that Beast has read, or null. RFC 9112 §3.2: a request that says nowhere, or twice, to
  /// whom it is sent would be understood differently by whoever stands between.
  const char* fault() const
  {
    if (hosts_ > 1)
      return "it has more than one 'host' header";
    if (hosts_ == 0 && !http_1_0)
      return "it has no 'host' header";
    if (bad_host_)
      return "its 'host' header is not the name of a host";
    if (transfer_encodings_ > 1)
      return "it has more than one 'transfer-encoding' header";
    return nullptr;
  }

private:
  using Text = boost::beast::string_view;
  using Code = boost::beast::error_code;
  using Error = boost::beast::http::error;

  static std::string_view view_of(Text text)
  {
    return {text.data(), text.size()};
  }

  /// Origin, absolute and asterisk form (RFC 9112 §3.2), or the authority of a CONNECT.
  static bool is_target(std::string_view method, std::string_view target)
  {
    if (std::any_of(target.begin(), target.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
      return false;
    if (target == "*")
      return method == "OPTIONS";
    return target.starts_with('/') || target.starts_with("http://") || target.starts_with("https://") ||
           method == "CONNECT";
  }

  /// Empty, or a name, an IPv4 or a bracketed IPv6 address, with a port or none (RFC 9110 §7.2). Only characters are
  /// looked at: which names are ours is not known here.
  static bool is_host(std::string_view host)
  {
    return std::all_of(
        host.begin(), host.end(), [](char c)
        { return c > ' ' && c < '\x7f' && std::string_view("\"#/<>?@\\^`{|},").find(c) == std::string_view::npos; });
  }

  void on_request_impl(boost::beast::http::verb verb, Text method, Text target, int version, Code& ec) override
  {
    if (verb == boost::beast::http::verb::unknown)
      ec = Error::bad_method;
    else if (!is_target(view_of(method), view_of(target)))
      ec = Error::bad_target;
    else
    {
      http_1_0 = version == 10;
      request.method = view_of(method);
      auto parts = split_target(view_of(target));
      request.path = std::move(parts.path);
      request.query = std::move(parts.query);
      request.headers.reserve(8);
    }
  }

  void on_field_impl(boost::beast::http::field name, Text text, Text value, Code& ec) override
  {
    using Field = boost::beast::http::field;
    // A coding other than chunked would reach the handler undecoded, and HTTP/1.0 knows none (RFC 9112 §6.1).
    if (name == Field::transfer_encoding && (http_1_0 || !boost::beast::iequals(value, "chunked")))
    {
      ec = Error::bad_transfer_encoding;
      return;
    }
    if (name == Field::transfer_encoding)
      ++transfer_encodings_;
    if (name == Field::host)
    {
      ++hosts_;
      bad_host_ = bad_host_ || !is_host(view_of(value));
    }
    if (name == Field::expect && !http_1_0)
      expects_continue = boost::beast::iequals(value, "100-continue");
    request.headers.push_back(kept_header(text, value));
  }

  unsigned hosts_ = 0;
  unsigned transfer_encodings_ = 0;
  bool bad_host_ = false;
};
}
