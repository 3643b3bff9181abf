#include "crypto/certificate_names.h"

#include "base/check.h"

#include <algorithm>
#include <arpa/inet.h>
#include <utility>

namespace concordat::crypto
{
namespace
{
/// More names than a node has reason to go by.
constexpr int most_names = 64;
constexpr std::size_t ipv4_size = 4;
constexpr std::size_t ipv6_size = 16;

std::unexpected<Error> wrong(const std::string& why)
{
  return fail(ErrorCode::invalid, "cannot make a certificate: " + why);
}

std::unexpected<Error> unreadable(const std::string& why)
{
  return fail(ErrorCode::invalid, "the names that are asked for cannot be used: " + why);
}

std::string_view bytes_of(const ASN1_STRING* text)
{
  return {
      reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string_view trim(std::string_view text)
{
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// Splits "CN=a\, b,O=c" into its parts; a backslash takes the next character as it is.
Result<std::vector<std::pair<std::string, std::string>>> parts_of(std::string_view subject)
{
  std::vector<std::pair<std::string, std::string>> parts;
  for (std::size_t at = 0; at <= subject.size();)
  {
    const auto equals = subject.find('=', at);
    if (equals == std::string_view::npos)
      return wrong("subject '" + std::string(subject) + "' is not of the form CN=name,O=organisation");
    std::string value;
    std::size_t end = equals + 1;
    for (; end < subject.size() && subject[end] != ','; ++end)
    {
      if (subject[end] == '\\')
        ++end;
      if (end == subject.size())
        return wrong("subject '" + std::string(subject) + "' ends in a backslash");
      value.push_back(subject[end]);
    }
    parts.emplace_back(trim(subject.substr(at, equals - at)), trim(value));
    if (parts.back().first.empty() || parts.back().second.empty())
      return wrong("subject '" + std::string(subject) + "' has an empty part");
    at = end + 1;
  }
  return parts;
}

}

Result<NativeName> parse_subject(std::string_view subject)
{
  // What reads a name up to a zero byte would see another name.
  if (subject.find('\0') != std::string_view::npos)
    return wrong("the subject holds a zero byte");
  const auto parts = parts_of(subject);
  if (!parts)
    return std::unexpected(parts.error());
  NativeName name(X509_NAME_new());
  CHECK(name, "memory for a name is there");
  for (const auto& [type, value] : *parts)
    if (value.size() > 1024 ||
        X509_NAME_add_entry_by_txt(
            name.get(), type.c_str(), MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
            static_cast<int>(value.size()), -1, 0) != 1)
      return wrong("subject part '" + type + "=" + value + "': " + openssl_reason());
  return name;
}

namespace
{
bool is_dns_name(std::string_view text)
{
  const auto allowed = [](char c)
  {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '*';
  };
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), allowed);
}

}

Result<NativeNames> parse_alt_names(const std::vector<std::string>& texts)
{
  NativeNames names(GENERAL_NAMES_new());
  CHECK(names, "memory for names is there");
  for (const auto& text : texts)
  {
    const auto colon = text.find(':');
    const auto type = text.substr(0, colon);
    const auto value = colon == std::string::npos ? std::string() : text.substr(colon + 1);
    ASN1_STRING* content = nullptr;
    if (type == "iPAddress" && value.find('\0') == std::string::npos)
      content = a2i_IPADDRESS(value.c_str());
    else if (type == "dNSName" && is_dns_name(value))
    {
      content = ASN1_IA5STRING_new();
      CHECK(
          content != nullptr && ASN1_STRING_set(content, value.data(), static_cast<int>(value.size())) == 1,
          "memory for a name is there");
    }
    if (content == nullptr)
      return wrong(
          "subject alternative name '" + text +
          "' is neither iPAddress: with an IPv4 or IPv6 address nor dNSName: with a host name");
    auto* const name = GENERAL_NAME_new();
    CHECK(name != nullptr, "memory for a name is there");
    GENERAL_NAME_set0_value(name, type == "iPAddress" ? GEN_IPADD : GEN_DNS, content);
    CHECK(sk_GENERAL_NAME_push(names.get(), name) > 0, "memory for a name is there");
  }
  return names;
}

Result<std::string> subject_text(const X509_NAME* name)
{
  std::string subject;
  const int count = X509_NAME_entry_count(name);
  if (count == 0 || count > most_names)
    return unreadable("the subject is empty, or has more than " + std::to_string(most_names) + " parts");
  for (int i = 0; i < count; ++i)
  {
    const auto* const entry = X509_NAME_get_entry(name, i);
    const int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    unsigned char* utf8 = nullptr;
    const int size = nid == NID_undef ? -1 : ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
    if (size < 0)
      return unreadable("the subject has a part of a kind that is not known");
    const std::string value(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
    OPENSSL_free(utf8);
    subject += (i == 0 ? "" : ",") + std::string(OBJ_nid2sn(nid)) + "=";
    for (const char c : value)
      subject += c == ',' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
  }
  if (const auto again = parse_subject(subject); !again)
    return std::unexpected(again.error());
  return subject;
}

Result<std::vector<std::string>> alt_name_texts(const GENERAL_NAMES* names)
{
  std::vector<std::string> texts;
  const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names);
  if (count > most_names)
    return unreadable("there are more than " + std::to_string(most_names));
  for (int i = 0; i < count; ++i)
  {
    int type = 0;
    const auto* const value =
        static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type));
    if (type != GEN_DNS && type != GEN_IPADD)
      return unreadable("one is neither an address nor a host name");
    const auto bytes = bytes_of(value);
    if (type == GEN_DNS)
    {
      if (!is_dns_name(bytes))
        return unreadable("one is no host name");
      texts.push_back("dNSName:" + std::string(bytes));
      continue;
    }
    char text[INET6_ADDRSTRLEN] = {};
    if ((bytes.size() != ipv4_size && bytes.size() != ipv6_size) ||
        ::inet_ntop(bytes.size() == ipv4_size ? AF_INET : AF_INET6, bytes.data(), text, sizeof text) == nullptr)
      return unreadable("one is no IP address");
    texts.push_back("iPAddress:" + std::string(text));
  }
  return texts;
}
}
