#include "attestation/virtual_platform.h"

#include "attestation/process.h"
#include "base/encoding.h"
#include "crypto/hash.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace concordat::attestation
{
namespace
{
class VirtualPlatformTest : public testing::Test
{
protected:
  void SetUp() override
  {
    auto pattern = (std::filesystem::temp_directory_path() / "platform.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    key_file = directory + "/new/directory/sealing.key";
  }

  void TearDown() override
  {
    std::filesystem::remove_all(directory);
  }

  ErrorCode refusal()
  {
    const auto opened = VirtualPlatform::open(disk, key_file, Digest{});
    return opened ? ErrorCode::internal : opened.error().code;
  }

  base::Path directory;
  base::Path key_file;
  base::RealFileSystem disk;
};

TEST_F(VirtualPlatformTest, MakesASealingKeyOnceAndKeepsIt)
{
  const auto first = VirtualPlatform::open(disk, key_file, Digest{});
  ASSERT_TRUE(first) << first.error().describe();
  const std::string key((*first)->sealing_key());
  EXPECT_EQ(key.size(), 32U);
  EXPECT_EQ(VirtualPlatform::open(disk, key_file, Digest{}).value()->sealing_key(), key);
  struct stat status = {};
  ASSERT_EQ(::stat(key_file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);

  std::filesystem::remove(key_file);
  EXPECT_NE(VirtualPlatform::open(disk, key_file, Digest{}).value()->sealing_key(), key);
}

TEST_F(VirtualPlatformTest, RefusesAKeyThatOthersMayRead)
{
  ASSERT_TRUE(VirtualPlatform::open(disk, key_file, Digest{}));
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0610U, 0601U, 0700U, 0666U})
  {
    ASSERT_EQ(::chmod(key_file.c_str(), mode), 0);
    EXPECT_EQ(refusal(), ErrorCode::denied) << std::oct << mode;
  }
  for (const mode_t mode : {0600U, 0400U})
  {
    ASSERT_EQ(::chmod(key_file.c_str(), mode), 0);
    EXPECT_TRUE(VirtualPlatform::open(disk, key_file, Digest{})) << std::oct << mode;
  }
}

TEST_F(VirtualPlatformTest, RefusesAMalformedKeyAndLeavesItAlone)
{
  ASSERT_TRUE(disk.make_directory(base::parent(key_file)));
  for (const auto& content : {std::string(), std::string(31, 'k'), std::string(33, 'k'), std::string(32, '\0')})
  {
    ASSERT_TRUE(disk.replace(key_file, content));
    EXPECT_EQ(refusal(), ErrorCode::corrupt) << content.size();
    EXPECT_EQ(disk.read(key_file), content);
  }
  std::filesystem::remove(key_file);
  std::filesystem::create_directory(key_file);
  EXPECT_EQ(refusal(), ErrorCode::denied);
}

TEST_F(VirtualPlatformTest, SaysThatItProtectsNothing)
{
  const auto platform = VirtualPlatform::open(disk, key_file, Digest{}).value();
  EXPECT_EQ(platform->name(), "virtual");
  ASSERT_TRUE(platform->warning());
  EXPECT_NE(platform->warning()->find("PROTECTS NOTHING"), std::string::npos);
}

// attestation.md §9: compact JSON, keys in alphabetical order.
TEST_F(VirtualPlatformTest, ItsQuoteHasTheFormOfTheSheet)
{
  const auto executable = crypto::sha256("abc");
  const auto report = crypto::sha256("");
  const auto evidence = VirtualPlatform::open(disk, key_file, executable).value()->evidence(report).value();
  EXPECT_EQ(evidence.format, "Insecure_Virtual");
  EXPECT_EQ(evidence.endorsements, "");
  EXPECT_EQ(
      evidence.quote, R"({"host_data":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",)"
                      R"("measurement":"Insecure hard-coded virtual measurement v1",)"
                      R"("report_data":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="})");
  EXPECT_EQ(evidence.claims.measurement, "Insecure hard-coded virtual measurement v1");
  EXPECT_EQ(
      evidence.claims.code_digest,
      "496e73656375726520686172642d636f646564207669727475616c206d6561737572656d656e74207631");
  EXPECT_EQ(evidence.claims.host_data, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(evidence.claims.report_data, report);
}

TEST_F(VirtualPlatformTest, ItsEvidenceIsReadAsItWasMeant)
{
  const auto report = crypto::sha256("a key");
  const auto evidence = VirtualPlatform::open(disk, key_file, crypto::sha256("x")).value()->evidence(report).value();
  const auto read = check_evidence(evidence.format, evidence.quote, evidence.endorsements);
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(read->measurement, evidence.claims.measurement);
  EXPECT_EQ(read->code_digest, evidence.claims.code_digest);
  EXPECT_EQ(read->host_data, evidence.claims.host_data);
  EXPECT_EQ(read->report_data, report);
}

const std::string host_data(64, 'a');
const std::string report_data = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

std::string quote(const std::string& measurement, const std::string& host, const std::string& report)
{
  return R"({ "report_data": )" + report + R"(, "host_data": )" + host + R"(, "measurement": )" + measurement + "}";
}

std::string quoted(const std::string& text)
{
  return '"' + text + '"';
}

TEST(VirtualQuote, MayHaveSpacesAnyOrderAndOtherFields)
{
  const auto expect_read = [](const std::string& text)
  {
    const auto read = read_virtual_quote(text);
    ASSERT_TRUE(read) << read.error().describe();
    EXPECT_EQ(read->measurement, "m");
    EXPECT_EQ(read->host_data, host_data);
    EXPECT_EQ(read->report_data, crypto::sha256(""));
  };
  expect_read(quote("\"m\"", quoted(host_data), quoted(report_data)));
  const auto more = R"({"more":[1,2],"measurement":"m","host_data":)" + quoted(host_data) + R"(,"report_data":)" +
                    quoted(report_data) + "}";
  expect_read(more);
}

TEST(VirtualQuote, WithAnotherFormIsRefused)
{
  const auto good_host = quoted(host_data);
  const auto good_report = quoted(report_data);
  for (const auto& bad :
       {std::string(), std::string("{}"), std::string("[]"), std::string("null"), std::string("{"),
        quote("1", good_host, good_report), quote("\"\"", good_host, good_report), quote("\"m\"", "null", good_report),
        quote("\"m\"", quoted(host_data.substr(2)), good_report),
        quote("\"m\"", quoted("zz" + host_data.substr(2)), good_report), quote("\"m\"", good_host, quoted("47DE")),
        quote("\"m\"", good_host, quoted(report_data.substr(1))), quote("\"m\"", good_host, "{}"),
        quote("\"m\"", good_host, good_report) + "x", quote("\"m\", \"measurement\": \"n\"", good_host, good_report),
        quote("\"\xff\"", good_host, good_report), quote(quoted(std::string(20'000, 'm')), good_host, good_report),
        std::string(10'000, '[')})
  {
    const auto read = read_virtual_quote(bad);
    ASSERT_FALSE(read) << bad.substr(0, 200);
    EXPECT_EQ(read.error().code, ErrorCode::invalid);
  }
}

TEST(VirtualQuote, AnyBytesAreSafe)
{
  EXPECT_TRUE(rc::check([](const std::vector<std::uint8_t>& raw)
                        { RC_ASSERT(!read_virtual_quote(std::string(raw.begin(), raw.end())).has_value()); }));
}

TEST(Evidence, OfAnUnknownFormatOrWithEndorsementsIsRefused)
{
  const auto good = quote("\"m\"", quoted(host_data), quoted(report_data));
  EXPECT_TRUE(check_evidence("Insecure_Virtual", good, ""));
  EXPECT_FALSE(check_evidence("Insecure_Virtual", good, "x"));
  for (const auto* format : {"", "insecure_virtual", "OE_SGX_v1", "AMD_SEV_SNP_v1"})
    EXPECT_FALSE(check_evidence(format, good, "")) << format;
}

TEST(Process, HasTheDigestOfItsExecutableAlsoOnceHardened)
{
  const auto digest = executable_digest();
  ASSERT_TRUE(digest) << digest.error().describe();
  base::RealFileSystem disk;
  EXPECT_EQ(*digest, crypto::sha256(disk.read(std::filesystem::read_symlink("/proc/self/exe")).value()));

  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0)
  {
    harden_process();
    rlimit limit{1, 1};
    const bool hardened = ::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0 &&
                          ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
    ::_exit(!hardened ? 1 : executable_digest() != *digest ? 2 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}
}
}
