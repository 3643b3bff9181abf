#include "cli/keygen.h"

#include "base/clock.h"
#include "base/files.h"
#include "crypto/certificate.h"

#include <fmt/format.h>

#include <filesystem>

namespace concordat::cli
{
namespace
{
struct NewFile
{
  std::string path;
  std::string content;
  bool secret = false;
};

bool is_file_name(const std::string& name)
{
  constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
  return !name.empty() && name.size() <= 100 && name.front() != '.' && name.front() != '-' &&
         name.find_first_not_of(allowed) == std::string::npos;
}

Result<void> write_new(base::FileSystem& files, const NewFile& file)
{
  auto opened = files.open(file.path, base::OpenMode::create);
  if (!opened)
    return std::unexpected(opened.error());
  if (auto written = (*opened)->write_at(0, file.content); !written)
    return written;
  return (*opened)->sync();
}

Outcome write_all(const std::vector<NewFile>& new_files, bool force)
{
  base::RealFileSystem files;
  if (!force)
    for (const auto& file : new_files)
      if (files.exists(file.path))
        return refuse(Exit::failed, file.path + " exists already", "choose another name, or replace it with --force");
  using std::filesystem::perms;
  const auto owner = perms::owner_read | perms::owner_write;
  for (const auto& file : new_files)
  {
    // A file that is replaced keeps its mode: nobody else may read the new key, not even for a moment.
    std::error_code error;
    if (force && file.secret && files.exists(file.path))
      std::filesystem::permissions(file.path, owner, error);
    const auto written = force ? files.replace(file.path, file.content) : write_new(files, file);
    if (!written)
      return refuse(Exit::failed, "cannot write " + file.path + ": " + written.error().describe());
    std::filesystem::permissions(
        file.path, file.secret ? owner : owner | perms::group_read | perms::others_read, error);
    if (error)
      return refuse(Exit::failed, "cannot set the mode of " + file.path + ": " + error.message());
  }
  return {};
}
}

Attempt<std::vector<std::string>> generate_keys(const KeygenOptions& options)
{
  if (!is_file_name(options.name))
    return refuse(Exit::usage, "a name must be 1 to 100 letters, digits, underscores, hyphens or dots");
  if (options.curve != "secp384r1" && options.curve != "secp256r1")
    return refuse(Exit::usage, "the curve must be secp384r1 or secp256r1");
  if (options.validity_days == 0)
    return refuse(Exit::usage, "a certificate must be valid for at least one day");

  const auto key = crypto::KeyPair::generate(options.curve == "secp384r1" ? crypto::Curve::p384 : crypto::Curve::p256);
  crypto::CertificateRequest request;
  request.subject = "CN=" + options.name;
  request.valid_from = base::SystemClock().unix_seconds();
  request.validity_days = options.validity_days;
  const auto certificate = crypto::self_signed(key, request);
  if (!certificate)
    return refuse(Exit::failed, "cannot make the certificate: " + certificate.error().describe());

  const auto path = [&](const char* suffix) { return base::join(options.directory, options.name + suffix); };
  std::vector<NewFile> files{
      {.path = path("_privk.pem"), .content = key.private_pem(), .secret = true},
      {.path = path("_cert.pem"), .content = certificate->pem(), .secret = false}};
  if (options.encryption)
  {
    auto rsa = crypto::generate_rsa();
    files.push_back({.path = path("_enc_privk.pem"), .content = std::move(rsa.private_pem), .secret = true});
    files.push_back({.path = path("_enc_pubk.pem"), .content = std::move(rsa.public_pem), .secret = false});
  }
  if (auto written = write_all(files, options.force); !written)
    return std::unexpected(written.error());
  std::vector<std::string> paths;
  paths.reserve(files.size());
  for (const auto& file : files)
    paths.push_back(file.path);
  return paths;
}

Outcome run_keygen(const KeygenOptions& options, Console& console)
{
  const auto paths = generate_keys(options);
  if (!paths)
    return std::unexpected(paths.error());
  for (const auto& path : *paths)
    console.out << path << '\n';
  return {};
}
}
