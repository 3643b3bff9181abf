#include "intake/records.h"

#include <gtest/gtest.h>

namespace concordat::intake
{
namespace
{
InputOptions options_of(const std::string& file = "x.csv")
{
  InputOptions options;
  options.file = file;
  return options;
}

InputBytes bytes_of(std::string text)
{
  const auto owner = std::make_shared<const std::string>(std::move(text));
  return {owner, *owner};
}

/// The records as `key=value@line`, or the problem's cause.
std::string read(std::string text, const InputOptions& options)
{
  const auto records = read_records_of(bytes_of(std::move(text)), options, {});
  if (!records)
    return records.error().cause;
  std::string out;
  for (const auto& record : records->records)
    out += (out.empty() ? "" : " ") + std::string(record.key) + "=" + std::string(record.value) + "@" +
           std::to_string(record.line);
  return out;
}

std::string read(std::string text, const std::string& file = "x.csv")
{
  return read(std::move(text), options_of(file));
}

std::string next_step(std::string text, InputOptions options = options_of())
{
  const auto records = read_records_of(bytes_of(std::move(text)), options, {});
  return records ? "accepted" : records.error().next;
}

const std::string lei = "984500000000000ABC01";
const std::string good = "984500000000000ABC02,K.64.19\n984500000000000ABC03,K.64.19\n";
}

TEST(Csv, ReadsTheDialectsThatSpreadsheetsWrite)
{
  for (const auto* text :
       {"lei,nace\nA1,K.1\nA2,K.2\n", "lei;nace\r\nA1;K.1\r\nA2;K.2\r\n", "lei\tnace\nA1\tK.1\nA2\tK.2",
        "lei|nace\nA1|K.1\nA2|K.2\n", "LEI , NACE\nA1,K.1\nA2,K.2\n", "nace,lei\nK.1,A1\nK.2,A2\n",
        "lei,nace\rA1,K.1\rA2,K.2\r", "lei,nace,\nA1,K.1,\nA2,K.2,\n", "lei,nace\nA1,K.1,,\nA2,K.2,,\n",
        "\"lei\";\"nace\"\nA1;\"K.1\"\nA2;K.2\n", "\"lei\"\t\"nace\"\n\"A1\"\t\"K.1\"\n\"A2\"\tK.2\n"})
    EXPECT_EQ(read(text), "A1=K.1@2 A2=K.2@3") << text;
  for (const auto* text :
       {"sep=;\r\nlei;nace\r\nA1;K.1\r\nA2;K.2\r\n", "SEP=\t\nlei\tnace\nA1\tK.1\nA2\tK.2\n",
        "\"sep=;\"\nlei;nace\nA1;K.1\nA2;K.2\n", "\nlei,nace\nA1,K.1\nA2,K.2\n"})
    EXPECT_EQ(read(text), "A1=K.1@3 A2=K.2@4") << text;
}

TEST(Csv, SkipsWhatHasNothingInIt)
{
  EXPECT_EQ(read("lei,nace\n\nA1,K.1\n,\n , \n\xc2\xa0,\n,,,\nA2,K.2\n\n\n"), "A1=K.1@3 A2=K.2@8");
}

TEST(Csv, TakesTwoColumnsOutOfAWideTable)
{
  std::string header = "LEI";
  std::string row = lei;
  for (int i = 0; i < 337; ++i)
  {
    header += i == 150 ? ",Entity.Nace" : ",Column" + std::to_string(i);
    row += i == 150 ? ",K.64.19" : ",\"x, y\"";
  }
  auto options = options_of();
  EXPECT_NE(read(header + "\n" + row + "\n").find("no column nace; 338 columns were found: LEI"), std::string::npos);
  EXPECT_NE(read(header + "\n" + row + "\n").find("nearest: Entity.Nace"), std::string::npos);
  options.value_column = "entity.nace";
  EXPECT_EQ(read(header + "\n" + row + "\n", options), lei + "=K.64.19@2");
}

TEST(Csv, DropsNoNamedColumnUnlessTheColumnsAreNamed)
{
  EXPECT_NE(read("lei,nace,name\nA1,K.1,B\n").find("1 columns besides lei and nace"), std::string::npos);
  auto options = options_of();
  options.key_column = "lei";
  options.value_column = "name";
  EXPECT_EQ(read("lei,nace,name\nA1,K.1,B\n", options), "A1=B@2");
  EXPECT_NE(read("lei,nace,\nA1,K.1,B\n").find("field 3 has a text, but its column has no name"), std::string::npos);
  EXPECT_NE(read("lei,lei,nace\nA1,A1,K\n").find("more than once"), std::string::npos);
}

TEST(Csv, SaysWhichColumnsThereAreAndWhatWasProbablyMeant)
{
  EXPECT_EQ(
      read("lie;code\nA1;K.1\n"),
      "the header has no column lei and no column nace; 2 columns were found: lie, code; nearest: lie");
  EXPECT_NE(next_step(lei + ",K.64.19\n").find("put a header above it"), std::string::npos);
  EXPECT_NE(next_step("[{\"lei\":1}]").find("--format json"), std::string::npos);
}

TEST(Csv, NamesWithTheirLinesWhatSpreadsheetsDamaged)
{
  const std::vector<std::pair<std::string, std::string>> rows{
      {"9.845E+19,K.64.19", "scientific"},
      {"\"9,845E+19\",K.64.19", "scientific"},
      {"9E+19,K.64.19", "scientific"},
      {"A1,\"1,5e-03\"", "scientific"},
      {"=\"00123\",K.64.19", "formula"},
      {"\"=\"\"00123\"\"\",K.64.19", "formula"},
      {"=A1,K.64.19", "formula"},
      {"#N/A,K.64.19", "error-value"},
      {"A1,#REF!", "error-value"},
      {"A1,#BEZUG!", "error-value"},
      {"A1,#NAME?", "error-value"},
      {"A1,#NV", "error-value"},
      {"A1,######", "error-value"},
      {"A1,Err:502", "error-value"},
      {"A1,NULL", "placeholder"},
      {"NaN,K.64.19", "placeholder"},
      {"A1,n/a", "placeholder"},
      {"A1,\\N", "placeholder"},
      {"A1,1-Oct", "date"},
      {"A1,01. Okt", "date"},
      {"A1,Oct-24", "date"},
      {"'00123,K.64.19", "quotes"},
      {"\"\"\"A1\"\"\",K.64.19", "quotes"},
      {"A1,K&amp;64", "markup"},
      {"A1,K&#160;64", "markup"},
      {"A1,", "empty"},
      {"Total,2", "total"},
      {"Summe:,2", "total"},
      {"Grand total,2", "total"},
      {"lei,nace", "header"},
      {"LEI, Nace", "header"},
      {"984500000000000abc09,K.64.19", "case"},
      {"A1,k.64.19", "case"},
      {"A1 ,K.64.19", "space"},
      {" A1,K.64.19", "space"},
      {"A\xc2\xa0"
       "1,K.64.19",
       "space"},
      {"A1,K.64.19\xc2\xa0", "space"},
      {"A1,K  64", "space"},
      {"A1\xe2\x80\x8b,K.64.19", "invisible"},
      {"A1,K\xc2\xad.64", "invisible"},
      {"A1,\xef\xbb\xbfK.64", "invisible"},
      {"A1,\xe2\x80\xaeK.64", "invisible"},
      {"A1,K\x1b[31m", "invisible"},
      {"A1,Zu\xcc\x88rich", "form"},
      {"A1,\xef\xbc\xab.64", "form"},
      {"A1,\xd0\x9a.64.19", "lookalike"},
      {"A1,K.64\xe2\x80\x93"
       "19",
       "lookalike"},
      {"A1,K\xef\xbf\xbd", "lost"},
      {"A1,Z\xc3\x83\xc2\xbcrich", "lost"}};
  for (const auto& [row, kind] : rows)
  {
    const auto text = "lei,nace\nZ1,K.1\n" + row + "\n";
    const auto cause = read(text);
    EXPECT_NE(cause.find("line 3"), std::string::npos) << row << ": " << cause;
    EXPECT_NE(cause.find("(" + kind + ")"), std::string::npos) << row << ": " << cause;
    auto options = options_of();
    options.skip = {kind};
    EXPECT_EQ(read(text, options), "Z1=K.1@2") << row;
    options.skip = {};
    options.accept = {kind};
    const auto accepted = read(text, options);
    if (kind == "header") // no record, whatever is said of it
      EXPECT_EQ(accepted, "Z1=K.1@2") << row;
    else
      EXPECT_TRUE(accepted.starts_with("Z1=K.1@2 ") && accepted.ends_with("@3")) << row << ": " << accepted;
    EXPECT_NE(next_step(text).find("--accept " + kind), std::string::npos) << row;
  }
}

TEST(Csv, LeavesAloneWhatOnlyLooksLikeDamage)
{
  for (const auto* row :
       {"2138001E123456789012,K.64.19", "A1,K.64.19", "A1,-5", "A1,+5.5", "A1,Z\xc3\xbcrich",
        "A1,\xe6\x9d\xb1\xe4\xba\xac", "A1,\xf0\x9f\x8f\xa6", "A1,Totalenergies", "A1,A-B", "A1,O'Neil", "A1,AT&T",
        "A1,2024-10-01", "A1,Bank \xe2\x80\x93 Nord", "A1,\xce\xa9 Bank", "A1,1.10", "A1,E+5", "Totality,K.1"})
  {
    auto record = std::string(row);
    record[record.find(',')] = '=';
    EXPECT_EQ(read(std::string("lei,nace\n") + row + "\n"), record + "@2") << row;
  }
}

TEST(Csv, ShowsACellInOneLine)
{
  EXPECT_NE(read("lei,nace\nA1,\"x\ny \"\n").find("nace: 'x\\ny ' holds a space"), std::string::npos);
}

TEST(Csv, OfAFormulaAroundATextTheTextIsTakenOnceAccepted)
{
  auto options = options_of();
  options.accept = {"formula"};
  EXPECT_EQ(read("lei,nace\n=\"00123\",K.1\n", options), "00123=K.1@2");
}

TEST(Csv, NamesRowsOfAnotherLengthAndLinesBeforeTheHeader)
{
  const auto text = "Report of 1 May\nlei,nace\nA1,K.1\n(1 row)\nA2,K.1,5\n";
  const auto cause = read(text);
  EXPECT_NE(cause.find("line 1: 'Report of 1 May' stands before the header"), std::string::npos) << cause;
  EXPECT_NE(cause.find("record 2 (line 4): the row has 1 field, the header has 2 (fields)"), std::string::npos)
      << cause;
  EXPECT_NE(cause.find("record 3 (line 5): the row has 3 fields"), std::string::npos) << cause;
  auto options = options_of();
  options.skip = {"fields", "preamble"};
  EXPECT_EQ(read(text, options), "A1=K.1@3");
  options.skip = {};
  options.accept = {"fields", "preamble"};
  EXPECT_NE(read(text, options).find("the row has 1 field"), std::string::npos) << "these cannot be accepted";
}

TEST(Csv, NamesKeysThatAreNoLeiAmongLeis)
{
  const auto cause = read("lei,nace\n" + good + "123,K.1\n");
  EXPECT_NE(cause.find("record 3 (line 4), lei: '123' is no LEI"), std::string::npos) << cause;
  auto options = options_of();
  options.accept = {"odd-key"};
  EXPECT_TRUE(read("lei,nace\n" + good + "123,K.1\n", options).ends_with("123=K.1@4"));
}

TEST(Records, OneKeyWithTwoValuesIsAContradictionWithBothLines)
{
  const std::vector<std::string> texts{"lei,nace\nA1,K.1\nB1,K.1\nA1,K.2\n", "lei,nace\n\"A1\",K.1\n\nA1,K.2\n"};
  for (const auto& text : texts)
    EXPECT_NE(read(text).find("lines 2 and 4 contradict each other"), std::string::npos) << read(text);
  EXPECT_EQ(read("lei,nace\nA1,K.1\nA1,K.1\n"), "A1=K.1@2 A1=K.1@3");
  auto options = options_of();
  options.accept = {"space", "invisible", "form", "case"};
  for (const auto* key :
       {"A1 ",
        "\xc2\xa0"
        "A1",
        "A\xe2\x80\x8b"
        "1"})
  {
    const auto cause = read(std::string("lei,nace\nA1,K.1\n") + key + ",K.2\n", options);
    EXPECT_NE(cause.find("lines 2 and 3 contradict"), std::string::npos) << cause;
  }
  EXPECT_NE(read("lei,nace\nAb,K.1\naB,K.1\n").find("in case alone (case)"), std::string::npos);
}

TEST(Json, NamesLineAndColumnOfAMistake)
{
  EXPECT_EQ(
      read("[\n {\"lei\":\"A\",\"nace\":\"1\"},\n]\n", "x.json"),
      "the input is not JSON: line 2, column 24: a comma with nothing between it and ]");
  EXPECT_EQ(
      read("{\"lei\":\"A\",\"nace\":\"1\"}\n {\"lei\":\"B\"", "x.ndjson"),
      "the input is not JSON: line 2, column 12: the text ends within an object");
}

TEST(Json, NamesRecordAndLineOfWhatDoesNotFit)
{
  const auto cause = read(
      "[{\"lei\":\"A\",\"nace\":\"1\"},\n\n{\"lei\":1,\"nace\":\"1\"},\n7,{\"lei\":\"B\"},\n{\"lei\":\"C\",\"nace\":"
      "\"1\",\"x\":1},\n"
      "{\"lei\":\"9.8E+19\",\"nace\":\"1\"}]",
      "x.json");
  for (const auto* part :
       {"record 2 (line 3), lei: must be a string, not a number", "record 3 (line 4): a record must be an object",
        "record 4 (line 4), nace: the field is missing", "record 5 (line 5): the record has fields",
        "record 6 (line 6), lei: '9.8E+19' is in scientific"})
    EXPECT_NE(cause.find(part), std::string::npos) << cause;
}

TEST(Json, ReadsLinesAlsoUnderTheNameOfJsonAndFieldsInOtherCase)
{
  EXPECT_EQ(read("{\"lei\":\"A1\",\"nace\":\"1\"}\n{\"LEI\":\"A2\",\"Nace\":\"\"}\n", "x.json"), "A1=1@1 A2=@2");
  EXPECT_EQ(read("\x1e{\"lei\":\"A1\",\"nace\":\"1\"}\n", "-"), "A1=1@1");
  auto options = options_of("x.json.gz");
  options.key_column = "id";
  options.value_column = "v";
  EXPECT_EQ(read("[{\"id\":\"A1\",\"v\":\"1\",\"other\":[]}]", options), "A1=1@1");
}

TEST(Format, IsThatOfTheNameOrOfTheText)
{
  EXPECT_EQ(guess_format("x.csv", "[]"), Format::csv);
  EXPECT_EQ(guess_format("X.CSV.GZ", "[]"), Format::csv);
  EXPECT_EQ(guess_format("x.json", "a,b"), Format::json);
  EXPECT_EQ(guess_format("x.jsonl", ""), Format::ndjson);
  EXPECT_EQ(guess_format("-", " [1"), Format::json);
  EXPECT_EQ(guess_format("-", "{\n\"lei\":1\n}\n"), Format::json);
  EXPECT_EQ(guess_format("-", "{\"lei\":1}\n{\"lei\":2}\n"), Format::ndjson);
  EXPECT_EQ(guess_format("-", "lei,nace\n"), Format::csv);
  EXPECT_EQ(guess_format("-", ""), Format::csv);
}

TEST(Records, AnInputWithoutAnyIsRefused)
{
  for (const auto& [text, file] :
       {std::pair("", "x.csv"), std::pair("lei,nace\n", "x.csv"), std::pair("lei,nace\n,\n\n", "x.csv"),
        std::pair("[]", "x.json"), std::pair("\n \n", "x.ndjson"), std::pair("", "x.json")})
    EXPECT_EQ(read(text, file), "the input holds no records") << text;
}

TEST(Records, AnUnknownKindIsAnErrorOfUsage)
{
  auto options = options_of();
  options.accept = {"everything"};
  const auto records = read_records_of(bytes_of("lei,nace\nA,1\n"), options, {});
  ASSERT_FALSE(records);
  EXPECT_TRUE(records.error().usage);
  EXPECT_NE(records.error().next.find("scientific"), std::string::npos);
}
}
