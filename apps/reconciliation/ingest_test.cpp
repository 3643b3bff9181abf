#include "reconciliation/ingest.h"

#include <gtest/gtest.h>

namespace concordat::reconciliation
{
namespace
{
const Schema schema;

std::string json_refusal(std::string_view body)
{
  const auto parsed = parse_json(schema, body);
  return parsed ? "accepted" : parsed.error().message();
}

std::string csv_refusal(std::string_view body)
{
  const auto parsed = parse_csv(schema, body);
  return parsed ? "accepted" : parsed.error().message();
}

/// The refused rows as `row/line/column: reason`.
std::vector<std::string> rows_of(const Parsed& parsed)
{
  std::vector<std::string> texts;
  if (!parsed)
    for (const auto& bad : parsed.error().rows())
      texts.push_back(std::to_string(bad.row) + "/" + std::to_string(bad.line) + "/" + bad.column + ": " + bad.reason);
  return texts;
}

using Texts = std::vector<std::string>;
}

TEST(JsonIngest, ReadsOneRecordOrMany)
{
  const auto one = parse_json(schema, R"({"lei":"A","nace":"1"})");
  ASSERT_TRUE(one);
  ASSERT_EQ(one->records.size(), 1U);
  EXPECT_EQ(one->records[0].key, "A");
  EXPECT_EQ(one->records[0].value, "1");
  const auto many =
      parse_json(schema, "\xef\xbb\xbf [{\"nace\":\"1\",\"lei\":\"A\"},\n{\"lei\":\"B\",\"nace\":\"\"}] ");
  ASSERT_TRUE(many);
  ASSERT_EQ(many->records.size(), 2U);
  EXPECT_EQ(many->records[0].key, "A");
  EXPECT_EQ(many->records[1].value, "");
}

TEST(JsonIngest, UndoesEscapesAlsoNul)
{
  const auto parsed = parse_json(schema, R"({"lei":"\u0000\n\"","n\u0061ce":"\ud83d\ude00"})");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->records[0].key, std::string_view("\0\n\"", 3));
  EXPECT_EQ(parsed->records[0].value, "\xf0\x9f\x98\x80");
}

TEST(JsonIngest, RefusesBodiesThatHoldNoRecords)
{
  EXPECT_EQ(json_refusal("[]"), "there are no rows in the body; send at least one record");
  EXPECT_EQ(json_refusal("null"), "the body must be a JSON object or an array of objects, not null");
  EXPECT_EQ(json_refusal("17"), "the body must be a JSON object or an array of objects, not a number");
  EXPECT_EQ(json_refusal("\"x\""), "the body must be a JSON object or an array of objects, not a string");
  EXPECT_EQ(json_refusal("true"), "the body must be a JSON object or an array of objects, not a boolean");
  for (const auto* empty : {"", "\xef\xbb\xbf", "  \n"})
    EXPECT_EQ(json_refusal(empty), "the body is empty; send a JSON object or an array of objects");
}

TEST(JsonIngest, RefusesWhatIsNotJson)
{
  for (const auto* body :
       {"{",
        "}",
        "[",
        "[{]",
        "{\"lei\":\"A\",\"nace\":\"1\"",
        "{\"lei\":\"A\" \"nace\":\"1\"}",
        "{lei:\"A\"}",
        "lei,nace\nA,1",
        "{\"lei\":\"A\",\"nace\":\"1\"} x",
        "{\"lei\":\"A\",\"nace\":\"1\",}",
        "{\"lei\":\"A\",\"nace\":'1'}",
        "{\"lei\":\"A\",\"nace\":nul}",
        "{\"lei\":\"A\",\"nace\":01}",
        "{\"lei\":\"A\",\"nace\":1e999}",
        "{\"lei\":\"A\",\"nace\":123456789012345678901}",
        "{\"lei\":\"A\",\"nace\":\"\\ud800\"}",
        "{\"lei\":\"A\",\"nace\":\"\\udc00\\ud800\"}",
        "{\"lei\":\"A\",\"nace\":\"\\x\"}",
        "{\"lei\":\"A\",\"nace\":\"\xff\"}",
        "{\"lei\":\"A\",\"nace\":\"\xed\xa0\x80\"}",
        "{\"lei\":\"A\",\"nace\":\"\n\"}"})
    EXPECT_TRUE(json_refusal(body).starts_with("the body is not JSON")) << body << ": " << json_refusal(body);
  const auto nul = json_refusal(std::string_view("{\"lei\":\"A\",\0\"nace\":\"1\"}", 23));
  EXPECT_TRUE(nul.starts_with("the body is not JSON")) << nul;
}

TEST(JsonIngest, RefusesDeepNestingWithoutDescendingIntoIt)
{
  const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
  EXPECT_TRUE(json_refusal(deep).starts_with("the body nests deeper than")) << json_refusal(deep);
  const auto open = json_refusal(std::string(1'000'000, '{'));
  EXPECT_TRUE(open.starts_with("the body is not JSON")) << open;
}

TEST(JsonIngest, NamesEveryBadRowByNumberColumnAndReason)
{
  const auto parsed = parse_json(
      schema,
      R"([{"lei":"A","nace":"1"},{"lei":"","nace":"1"},{"lei":"A"},{"nace":"1"},{},7,null,{"lei":0,"nace":false},
          {"lei":"A","nace":null},{"lei":["A"],"nace":{"x":1}},{"lei":"A","lei":"B","nace":"1"},
          {"lei":"A","nace":"1","more":1},{"lei":"A","nace":18446744073709551615}])");
  EXPECT_EQ(
      rows_of(parsed),
      (Texts{
          "2/0/lei: the key must not be empty", "3/0/nace: the field is missing", "4/0/lei: the field is missing",
          "5/0/lei: the field is missing", "5/0/nace: the field is missing",
          "6/0/: a record must be an object, not a number", "7/0/: a record must be an object, not null",
          "8/0/lei: must be a string, not a number", "8/0/nace: must be a string, not a boolean",
          "9/0/nace: must be a string, not null", "10/0/lei: must be a string, not an array",
          "10/0/nace: must be a string, not an object", "11/0/lei: the field stands more than once",
          "12/0/: the record has fields that the schema does not have", "13/0/nace: must be a string, not a number"}));
}

TEST(JsonIngest, BoundsKeysAndValues)
{
  const auto record = [](std::size_t key, std::size_t value)
  { return "{\"lei\":\"" + std::string(key, 'k') + "\",\"nace\":\"" + std::string(value, 'v') + "\"}"; };
  EXPECT_EQ(json_refusal(record(max_key_size, max_value_size)), "accepted");
  EXPECT_EQ(
      json_refusal(record(max_key_size + 1, 1)),
      "nothing has been stored: row 1, column lei: the key is longer than 1024 bytes");
  EXPECT_EQ(
      json_refusal(record(1, 1'000'000)),
      "nothing has been stored: row 1, column nace: the value is longer than 65536 bytes");
}

TEST(JsonIngest, DescribesAHundredBadRowsAndCountsAll)
{
  std::string body = "[0";
  for (int i = 1; i < 250; ++i)
    body += ",0";
  const auto parsed = parse_json(schema, body + "]");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().rows().size(), 100U);
  EXPECT_EQ(
      parsed.error().message(),
      "nothing has been stored, there are 250 mistakes; the first is in row 1: a record must be an object, not a "
      "number");
}

TEST(CsvIngest, ReadsRowsInTheOrderOfTheHeader)
{
  const auto parsed = parse_csv(schema, "\xef\xbb\xbfnace,lei\r\n1,A\r\n\"\",\"B \"\"x\"\"\"\r\n");
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->records.size(), 2U);
  EXPECT_EQ(parsed->records[0].key, "A");
  EXPECT_EQ(parsed->records[0].value, "1");
  EXPECT_EQ(parsed->records[1].key, "B \"x\"");
  EXPECT_EQ(parsed->records[1].value, "");
}

TEST(CsvIngest, RefusesWrongHeaders)
{
  const auto refused = [](std::string_view body) { return rows_of(parse_csv(schema, body)); };
  EXPECT_EQ(refused("lei,activity\nA,1\n"), (Texts{"0/1/nace: the column is missing"}));
  for (const auto& [text, name] : {std::pair("lei;nace\nA;1\n", "semicolons"), std::pair("lei\tnace\n", "tabs")})
    EXPECT_EQ(
        refused(text),
        (Texts{
            "0/1/lei: the column is missing; separate columns with commas, not with " + std::string(name),
            "0/1/nace: the column is missing; separate columns with commas, not with " + std::string(name)}));
  EXPECT_EQ(refused("lei,lei,nace\n"), (Texts{"0/1/lei: the column stands more than once"}));
  EXPECT_EQ(
      refused("lei,nace,country\nA,1,X\n"),
      (Texts{"0/1/: there are columns that the schema does not have; it has lei and nace"}));
  EXPECT_EQ(
      csv_refusal("A,1\n"), "nothing has been stored, there are 2 mistakes; the first is in the header (line 1), "
                            "column lei: the column is missing");
}

TEST(CsvIngest, RefusesBodiesWithoutRows)
{
  EXPECT_EQ(csv_refusal(""), "the body is empty; send a header (lei,nace) and rows");
  EXPECT_EQ(csv_refusal("lei,nace\r\n"), "there are no rows in the body, only the header; send at least one record");
}

TEST(CsvIngest, SkipsRowsWithNothingInThem)
{
  const auto parsed = parse_csv(schema, "lei,nace\n\nA,1\n,\r\n,,,\nB,\n\n\n");
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->records.size(), 2U);
  EXPECT_EQ(parsed->records[1].key, "B");
  EXPECT_EQ(parsed->records[1].line, 6U);
}

TEST(JsonIngest, NamesLineAndColumnOfAMistake)
{
  EXPECT_EQ(
      json_refusal("[\n {\"lei\":\"A\",\"nace\":\"1\"},\n]"),
      "the body is not JSON: line 2, column 24: a comma with nothing between it and ]");
  EXPECT_EQ(
      json_refusal("{\"lei\":\"A\",\"nace\":1e999}"),
      "the body is not JSON that can be read: line 1, column 19: a number that does not fit into 64 bits");
}

TEST(Texts, AreRefusedByTheRuleThatWasAgreed)
{
  const auto refused = [](TextRule rule, std::string_view key, std::string_view value)
  {
    Batch batch;
    batch.records = {{"fine", "fine", 1}, {key, value, 7}};
    const auto refusal = refuse_texts(schema, rule, batch);
    std::vector<std::string> texts;
    if (refusal)
      for (const auto& bad : refusal->rows())
        texts.push_back(
            std::to_string(bad.row) + "/" + std::to_string(bad.line) + "/" + bad.column + ": " + bad.reason);
    return texts;
  };
  EXPECT_EQ(refused(TextRule::exact, " A", "\xe2\x80\x8b"), Texts{});
  EXPECT_EQ(refused(TextRule::normalise, " A", "\xe2\x80\x8b"), Texts{});
  EXPECT_EQ(refused(TextRule::normalise, "\xe2\x80\x8b", "v"), (Texts{"2/7/lei: the key must not be empty"}));
  EXPECT_EQ(
      refused(TextRule::refuse, "A\xc2\xa0", "v "),
      (Texts{
          "2/7/lei: the text differs from what is seen of it: it holds a no-break space (U+00A0), character 2",
          "2/7/nace: the text differs from what is seen of it: it holds a space (U+0020), character 2"}));
  EXPECT_EQ(refused(TextRule::refuse, "Z\xc3\xbcrich", "K.64"), Texts{});
}

TEST(CsvIngest, NamesEveryBadRowByNumberLineColumnAndReason)
{
  const auto parsed = parse_csv(
      schema,
      "lei,nace\nA,\"1\n2\"\n,3\nB\nC,1,2\n\n" + std::string(1025, 'k') + "," + std::string(65'537, 'v') + "\n");
  EXPECT_EQ(
      rows_of(parsed), (Texts{
                           "2/4/lei: the key must not be empty", "3/5/: the row has 1 fields, the header has 2",
                           "4/6/: the row has 3 fields, the header has 2", "5/8/lei: the key is longer than 1024 bytes",
                           "5/8/nace: the value is longer than 65536 bytes"}));
}

TEST(CsvIngest, RefusesWhatIsNotCsvWithTheLine)
{
  EXPECT_EQ(
      csv_refusal("lei,nace\nA,1\nB,x\"y\n"),
      "the body is not CSV: line 3, byte 4: a quote inside a field; a field that holds quotes must begin and end with "
      "one");
  EXPECT_EQ(csv_refusal("lei,nace\nA,\xc3\x28\n"), "the body is not CSV: line 2, byte 3: this is not UTF-8");
}

TEST(Ingest, NeverRepeatsWhatWasSubmitted)
{
  const std::string secret = "s3cret";
  const std::string bodies[] = {
      "[{\"lei\":\"" + secret + "\"}]",
      "[{\"" + secret + "\":1}]",
      "[{\"lei\":\"" + secret + "\",\"nace\":1}]",
      "[\"" + secret + "\"]",
      "\"" + secret + "\"",
      "{\"lei\":" + secret + "}",
      secret};
  for (const auto& body : bodies)
    EXPECT_EQ(json_refusal(body).find(secret), std::string::npos) << body;
  const std::string texts[] = {
      secret + ",nace\nx,y\n", "lei,nace\n" + secret + "\n", "lei,nace\n" + secret + ",\"x\"y\n"};
  for (const auto& text : texts)
    EXPECT_EQ(csv_refusal(text).find(secret), std::string::npos) << text;
}
}
