#pragma once

#include <expected>
#include <memory>
#include <string>
#include <utility>

namespace concordat
{
/// What kind of thing went wrong; the caller decides by it, a person reads the message.
enum class ErrorCode
{
  invalid,     ///< input does not have the form that was asked for
  corrupt,     ///< stored or received data fails its check
  not_found,   ///< the thing named does not exist
  exists,      ///< the thing to be made is already there
  io,          ///< a file or socket operation failed
  no_space,    ///< the disk is full
  conflict,    ///< another transaction changed what this one read
  limit,       ///< a configured bound was exceeded
  denied,      ///< the caller may not do this
  unavailable, ///< not now; trying again later can work
  lost,        ///< it can never come to be: the view ended without it
  internal,    ///< a library failed in a way that its contract does not name
};

/// A failure that a correct program can meet: a code, a sentence for a person, and the failure below it.
/// The message never holds a secret or another member's data.
struct Error
{
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::shared_ptr<const Error> cause;

  /// The message followed by those of its causes, separated by ": ".
  std::string describe() const
  {
    return cause ? message + ": " + cause->describe() : message;
  }
};

template <typename T> using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorCode code, std::string message)
{
  return std::unexpected(Error{code, std::move(message), nullptr});
}

/// Wraps `cause` in a sentence that says what was being attempted; the code is kept.
inline std::unexpected<Error> fail(std::string message, Error cause)
{
  const auto code = cause.code;
  return std::unexpected(Error{code, std::move(message), std::make_shared<const Error>(std::move(cause))});
}
}
