#include "attestation/virtual_platform.h"

#include "base/encoding.h"
#include "crypto/hash.h"

#include <algorithm>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

namespace concordat::attestation
{
namespace
{
constexpr std::size_t key_size = 32;
/// A quote has some 250 bytes.
constexpr std::size_t quote_limit = std::size_t{16} << 10;

/// Only a file on the machine's own disk has an owner and a mode; a simulated disk has neither.
Result<void> check_private(const base::FileSystem& files, const base::Path& path)
{
  struct stat status = {};
  if (dynamic_cast<const base::RealFileSystem*>(&files) == nullptr || ::stat(path.c_str(), &status) != 0)
    return {};
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::denied, "sealing key '" + path + "' is not a regular file");
  if ((status.st_mode & 07177) != 0)
    return fail(
        ErrorCode::denied,
        "sealing key '" + path + "' may be read or changed by others than its owner; take those permissions away " +
            "(chmod 600) if nobody else has had the key, otherwise remove the key and all that was sealed under it");
  if (status.st_uid != ::geteuid() && status.st_uid != 0)
    return fail(
        ErrorCode::denied, "sealing key '" + path + "' belongs to another user than the one this process runs as");
  return {};
}

Result<std::string> read_key(base::FileSystem& files, const base::Path& path)
{
  if (const auto checked = check_private(files, path); !checked)
    return std::unexpected(checked.error());
  auto key = files.read(path, key_size);
  if (!key && key.error().code != ErrorCode::limit)
    return key;
  // A file system that lost what it had not written yet gives zeros.
  if (!key || key->size() != key_size || key->find_first_not_of('\0') == std::string::npos)
    return fail(
        ErrorCode::corrupt, "sealing key '" + path +
                                "' is not 32 random bytes; put back the right file, or remove it together with all " +
                                "that was sealed under it to start without that");
  return key;
}

Result<std::string> make_key(base::FileSystem& files, const base::Path& path)
{
  if (auto made = files.make_directory(base::parent(path)); !made)
    return fail("cannot make the directory of the sealing key", made.error());
  auto key = crypto::random_bytes(key_size);
  if (auto written = files.replace(path, key); !written)
    return fail("cannot write the sealing key", written.error());
  return key;
}
}

Result<std::unique_ptr<VirtualPlatform>>
VirtualPlatform::open(base::FileSystem& files, const base::Path& sealing_key_file, const Digest& executable)
{
  auto key = read_key(files, sealing_key_file);
  if (!key && key.error().code == ErrorCode::not_found)
    key = make_key(files, sealing_key_file);
  if (!key)
    return std::unexpected(key.error());
  return std::unique_ptr<VirtualPlatform>(new VirtualPlatform(*std::move(key), executable));
}

Result<std::string> VirtualPlatform::stored_key(base::FileSystem& files, const base::Path& sealing_key_file)
{
  return read_key(files, sealing_key_file);
}

VirtualPlatform::VirtualPlatform(std::string sealing_key, const Digest& executable)
    : sealing_key_(std::move(sealing_key)),
      executable_(executable)
{
}

VirtualPlatform::~VirtualPlatform()
{
  crypto::wipe(sealing_key_);
}

std::string_view VirtualPlatform::name() const
{
  return "virtual";
}

std::optional<std::string> VirtualPlatform::warning() const
{
  return "THIS NODE PROTECTS NOTHING: it runs on the virtual platform, outside any trusted execution environment. "
         "Whoever controls this machine can read all data and all keys, and can pretend to be a node. The evidence it "
         "shows proves nothing. For development and tests only; never put real data into this service.";
}

std::string_view VirtualPlatform::sealing_key() const
{
  return sealing_key_;
}

Result<Evidence> VirtualPlatform::evidence(const Digest& report_data) const
{
  const auto host_data = base::to_hex(base::as_view(executable_));
  Evidence evidence;
  evidence.format = virtual_format;
  evidence.quote = R"({"host_data":")" + host_data + R"(","measurement":")" + std::string(virtual_measurement) +
                   R"(","report_data":")" + base::to_base64(base::as_view(report_data)) + R"("})";
  evidence.claims = {std::string(virtual_measurement), base::to_hex(virtual_measurement), host_data, report_data};
  return evidence;
}

Result<Claims> read_virtual_quote(std::string_view quote)
{
  const auto wrong = [](const std::string& why) { return fail(ErrorCode::invalid, "virtual quote: " + why); };
  if (quote.size() > quote_limit)
    return wrong("larger than " + std::to_string(quote_limit) + " bytes");
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  const simdjson::padded_string padded(quote);
  if (parser.parse(padded).get(object) != simdjson::SUCCESS)
    return wrong("not a JSON object");

  std::string_view measurement;
  std::string_view host_data;
  std::string_view report_data;
  std::size_t found = 0;
  for (const auto [key, value] : object)
  {
    auto* const field = key == "measurement" ? &measurement
                      : key == "host_data"   ? &host_data
                      : key == "report_data" ? &report_data
                                             : nullptr;
    if (field == nullptr)
      continue;
    ++found;
    if (value.get(*field) != simdjson::SUCCESS)
      return wrong("'" + std::string(key) + "' is not a string");
  }
  if (found != 3 || measurement.empty() || host_data.empty() || report_data.empty())
    return wrong("it must have 'measurement', 'host_data' and 'report_data', each once and not empty");

  const auto host_bytes = base::from_hex(host_data);
  if (!host_bytes || host_bytes->size() != std::tuple_size_v<Digest>)
    return wrong("'host_data' is not 64 hexadecimal digits");
  const auto report_bytes = base::from_base64(report_data);
  if (!report_bytes || report_bytes->size() != std::tuple_size_v<Digest>)
    return wrong("'report_data' is not the base64 of 32 bytes");
  return Claims{
      std::string(measurement), base::to_hex(measurement), base::to_hex(*host_bytes), *base::to_digest(*report_bytes)};
}
}
