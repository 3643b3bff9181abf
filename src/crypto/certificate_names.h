#pragma once

#include "crypto/openssl.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string>
#include <string_view>
#include <vector>

/// The names that certificates and requests for them hold, as texts and as OpenSSL has them. Not for other modules.
namespace concordat::crypto
{
using NativeName = Owned<X509_NAME, X509_NAME_free>;
using NativeNames = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;

/// @param subject "CN=name,O=organisation"; a backslash takes the next character as it is
Result<NativeName> parse_subject(std::string_view subject);
/// @param texts "iPAddress:127.0.0.1" or "dNSName:localhost"
Result<NativeNames> parse_alt_names(const std::vector<std::string>& texts);

/// What `parse_subject` would read. @return Error::invalid for a name that it cannot say
Result<std::string> subject_text(const X509_NAME* name);
/// What `parse_alt_names` would read. @return Error::invalid for names of other kinds
Result<std::vector<std::string>> alt_name_texts(const GENERAL_NAMES* names);
}
