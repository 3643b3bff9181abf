#pragma once

#include "base/lower_case.h"

#include <boost/beast/http/basic_parser.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

namespace concordat::http
{
/// A header as it is kept: the name in small letters.
inline std::pair<std::string, std::string> kept_header(boost::beast::string_view name, boost::beast::string_view value)
{
  std::pair<std::string, std::string> header{
      std::string(name.data(), name.size()), std::string(value.data(), value.size())};
  base::make_lower_case(header.first);
  return header;
}

/// Beast's parser with all but the head left out: limits of heads are watched elsewhere, and bodies are taken apart by
/// who derives from this.
template <bool is_request> class HeadParser : public boost::beast::http::basic_parser<is_request>
{
public:
  HeadParser()
  {
    this->header_limit(std::numeric_limits<std::uint32_t>::max());
  }

private:
  using Text = boost::beast::string_view;
  using Code = boost::beast::error_code;

  void on_request_impl(boost::beast::http::verb, Text, Text, int, Code&) override {}
  void on_response_impl(int, Text, int, Code&) override {}
  void on_header_impl(Code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
  std::size_t on_body_impl(Text, Code&) override
  {
    return 0;
  }
  void on_chunk_header_impl(std::uint64_t, Text, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text, Code&) override
  {
    return 0;
  }
  void on_finish_impl(Code&) override {}
};
}
