#include "intake/recognise.h"

#include "intake/encoding.h"

#include <algorithm>
#include <array>

namespace concordat::intake
{
namespace
{
constexpr auto save_as_csv = "save the sheet as CSV (UTF-8) and submit that";

struct Magic
{
  std::string_view bytes;
  const char* what;
  const char* next;
};

const std::array magic_numbers{
    Magic{"\xd0\xcf\x11\xe0", "an old Office file (xls, or a workbook with a password)", save_as_csv},
    Magic{"%PDF-", "a PDF document", "submit the table that it was made from, as CSV"},
    Magic{"PAR1", "a Parquet file", "export it as CSV or NDJSON and submit that"},
    Magic{"ARROW1", "an Arrow file", "export it as CSV or NDJSON and submit that"},
    Magic{"ORC", "an ORC file", "export it as CSV or NDJSON and submit that"},
    Magic{std::string_view("Obj\x01", 4), "an Avro file", "export it as CSV or NDJSON and submit that"},
    Magic{"SQLite format 3", "an SQLite database", "export the table as CSV and submit that"},
    Magic{"{\\rtf", "a rich text document", save_as_csv},
    Magic{"BZh", "a bzip2 file", "unpack it first: bunzip2 < FILE | concordat submit -"},
    Magic{
        std::string_view(
            "\xfd"
            "7zXZ\0",
            6),
        "an xz file", "unpack it first: unxz < FILE | concordat submit -"},
    Magic{"7z\xbc\xaf", "a 7-Zip archive", "unpack it and submit the file inside"},
    Magic{"Rar!", "a RAR archive", "unpack it and submit the file inside"},
    Magic{"\x1f\x9d", "a compress (.Z) file", "unpack it first: uncompress"},
    Magic{"\x1f\x8b", "a gzip file within another", "unpack it once and submit the result"},
    Magic{"\x28\xb5\x2f\xfd", "a zstd file within another", "unpack it once and submit the result"},
    Magic{"\x04\x22\x4d\x18", "an lz4 file", "unpack it first"},
    Magic{"-----BEGIN ", "a PEM file, a key or certificate", "name the file with the records"},
    Magic{
        "\x7f"
        "ELF",
        "a program", "name the file with the records"},
    Magic{"\x89PNG", "a picture", "submit the table itself, as CSV"},
    Magic{"\xff\xd8\xff", "a picture", "submit the table itself, as CSV"},
    Magic{"MIME-Version:", "a web archive (mhtml)", save_as_csv}};

/// ASCII in lower case, without white space and a byte order mark in front.
std::string beginning_of_text(std::string_view head)
{
  if (head.starts_with("\xef\xbb\xbf"))
    head.remove_prefix(3);
  const auto begin = head.find_first_not_of(" \t\r\n");
  std::string text(head.substr(begin == std::string_view::npos ? head.size() : begin, 2000));
  std::transform(
      text.begin(), text.end(), text.begin(),
      [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return text;
}

Recognised recognise_zip(std::string_view head)
{
  const auto has = [&](std::string_view part) { return head.find(part) != std::string_view::npos; };
  if (has("opendocument.spreadsheet"))
    return {"a LibreOffice spreadsheet (ods)", save_as_csv};
  if (has("xl/") || has("[Content_Types].xml"))
    return {has("word/") ? "a Word document (docx)" : "an Excel workbook (xlsx)", save_as_csv};
  return {"a zip archive", "unpack it and submit the file inside"};
}

std::optional<Recognised> recognise_markup(std::string_view head)
{
  const auto text = beginning_of_text(head);
  if (!text.starts_with('<'))
    return std::nullopt;
  const auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  if (has("<html") || has("<!doctype html") || has("<table") || has("<body") || has("<head"))
    return Recognised{
        "an HTML page, not records",
        "if it was downloaded, it may be a login or error page; a sheet saved as a web page must be saved as CSV"};
  if (has("urn:schemas-microsoft-com:office:spreadsheet"))
    return Recognised{"an Excel 2003 XML workbook", save_as_csv};
  return Recognised{"an XML document", "submit the records as CSV, JSON or NDJSON"};
}

bool is_binary(std::string_view head)
{
  if (encoding_of(head) != Encoding::utf8)
    return false;
  const auto controls = std::count_if(
      head.begin(), head.end(),
      [](char c)
      {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != 0x1a;
      });
  return static_cast<std::size_t>(controls) * 20 > head.size();
}
}

std::optional<Recognised> recognise(std::string_view head)
{
  if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06"))
    return recognise_zip(head);
  for (const auto& magic : magic_numbers)
    if (head.starts_with(magic.bytes))
      return Recognised{magic.what, magic.next};
  if (head.size() > 262 && head.substr(257, 5) == "ustar")
    return Recognised{"a tar archive", "unpack it and submit the file inside"};
  if (head.starts_with(std::string_view("\xff\xfe\0\0", 4)) || head.starts_with(std::string_view("\0\0\xfe\xff", 4)))
    return Recognised{"text in UTF-32", "save it as UTF-8: iconv -f UTF-32 -t UTF-8"};
  if (auto markup = recognise_markup(head))
    return markup;
  if (is_binary(head))
    return Recognised{"binary data, not text", "submit records as CSV, JSON or NDJSON"};
  return std::nullopt;
}
}
