#include "reconciliation/text_rules.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace concordat::reconciliation
{
namespace
{
std::string flaws(std::string_view text)
{
  std::string out;
  for (const auto& flaw : find_text_flaws(text))
    out += (out.empty() ? "" : "; ") + describe(flaw);
  return out;
}
}

TEST(TextRules, WhatIsSeenAlikeIsNormalisedAlike)
{
  for (const auto* text :
       {"K.64", " K.64", "K.64 ", "\tK.64\r\n", "\xc2\xa0K.64", "K.64\xe2\x80\x83", "K\xe2\x80\x8b.64",
        "\xef\xbb\xbfK.64",
        "K.\xc2\xad"
        "64",
        "\xe2\x80\xaeK.64\xe2\x80\xac", "K.64\x1b", "K.64\xc2\x85", "\xef\xbc\xab.64",
        "K\xef\xbc\x8e"
        "64",
        "K.64\xe2\x80\x8d", "\xe2\x84\xaa.64", "K.64\xe3\x80\x80", "\xe2\xa0\x80K.64", "K.64\xef\xb8\x8f"})
    EXPECT_EQ(normalised(text), "K.64") << text;
  EXPECT_EQ(normalised("Zu\xcc\x88rich"), "Z\xc3\xbcrich");
  EXPECT_EQ(normalised("a \xc2\xa0  b"), "a b");
  EXPECT_EQ(normalised("two\r\nlines"), "two\nlines");
  EXPECT_EQ(normalised(" \xe2\x80\x8b "), "");
}

TEST(TextRules, WhatChangesWhatIsSeenStays)
{
  for (const auto* text :
       {"", "Z\xc3\xbcrich", "two\nlines", "\xe6\x9d\xb1\xe4\xba\xac", "\xf0\x9f\x8f\xa6",
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7", "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xb4", "k.64", "O'Neil",
        "\xc2\xbd \xc2\xb2"})
  {
    EXPECT_EQ(normalised(text), text);
    EXPECT_EQ(flaws(text), "") << text;
  }
}

TEST(TextRules, AFlawIsNamedWithCharacterAndPosition)
{
  EXPECT_EQ(flaws("K.64 "), "a space (U+0020), character 5");
  EXPECT_EQ(
      flaws("\xc2\xa0K\xe2\x80\x8b"),
      "a no-break space (U+00A0), character 1; a zero width space (U+200B), character 3");
  EXPECT_EQ(flaws("Zu\xcc\x88rich"), "the character (U+0075), character 2");
  EXPECT_EQ(flaws("\xd0\x9a.64"), "the character (U+041A), character 1");
  EXPECT_EQ(
      flaws("K\xe2\x80\x93"
            "64"),
      "a dash that is no hyphen (U+2013), character 2");
  EXPECT_EQ(flaws("Z\xc3\x83\xc2\xbcrich"), "the character (U+00C3), character 2");
  EXPECT_EQ(
      flaws("\xe2\x80\xae"
            "A"),
      "a bidirectional control (U+202E), character 1");
}

TEST(TextRules, FoldingForgetsCase)
{
  EXPECT_EQ(folded(" LEI\xc2\xa0"), "lei");
  EXPECT_EQ(
      folded("STRASSE"), folded("stra\xc3\x9f"
                                "e"));
}

TEST(TextRules, HaveNames)
{
  for (const auto rule : {TextRule::exact, TextRule::normalise, TextRule::refuse})
    EXPECT_EQ(text_rule_of(name_of(rule)), rule);
  EXPECT_FALSE(text_rule_of("Exact"));
}

/// Compatibility forms differ in what they hold: a wide macron holds a space, a narrow filler is invisible.
TEST(TextRules, NormalisingEveryCharacterTwiceIsNormalisingItOnce)
{
  for (std::uint32_t c = 0x80; c < 0x30000; ++c)
  {
    if (c >= 0xd800 && c < 0xe000)
      continue;
    std::string one;
    if (c >= 0x10000)
      one += {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3f))};
    else if (c >= 0x800)
      one += static_cast<char>(0xe0 | c >> 12);
    else
      one += static_cast<char>(0xc0 | c >> 6);
    if (c >= 0x800)
      one += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    one += static_cast<char>(0x80 | (c & 0x3f));
    for (const auto& text : {one, "a" + one + "\xc3\xbc"})
    {
      const auto once = normalised(text);
      ASSERT_EQ(normalised(once), once) << describe_character(c);
      for (const auto& flaw : find_text_flaws(once))
        ASSERT_TRUE(flaw.kind == TextFlaw::Kind::lookalike || flaw.kind == TextFlaw::Kind::lost)
            << describe_character(c);
    }
  }
}

RC_GTEST_PROP(TextRules, NormalisingTwiceIsNormalisingOnceAndLeavesNoFlawThatItMends, ())
{
  const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(std::vector<std::string>{
      "a",
      "K",
      "1",
      ".",
      " ",
      "  ",
      "\t",
      "\r",
      "\n",
      "\xc2\xa0",
      "\xe2\x80\x8b",
      "\xe2\x80\x8d",
      "\xef\xb8\x8f",
      "\xcc\x88",
      "\xc3\xbc",
      "\xef\xbc\xab",
      "\xe2\x84\xaa",
      "\xf0\x9f\x91\xa9",
      "\xef\xbb\xbf",
      "\x1b",
      "\xe1\x84\x80",
      "\xe1\x85\xa1",
      "\xd9\x85",
      "\xef\xbd\xb6",
      "\xef\xbe\x9e",
      "\xef\xbe\xa0",
      "\xef\xbf\xa3"}));
  std::string text;
  for (const auto& piece : pieces)
    text += piece;
  const auto once = normalised(text);
  RC_ASSERT(normalised(once) == once);
  if (once != text)
    RC_ASSERT(!find_text_flaws(text).empty());
  for (const auto& flaw : find_text_flaws(once))
    RC_ASSERT(flaw.kind == TextFlaw::Kind::lookalike || flaw.kind == TextFlaw::Kind::lost);
}
}
