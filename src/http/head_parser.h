#pragma once

#include <boost/beast/http/basic_parser.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace concordat::http
{
inline std::string lower_case(std::string_view text)
{
  std::string out(text);
  for (char& c : out)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
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
