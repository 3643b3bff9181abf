// Load generator: keep-alive HTTPS connections in closed loop, or in open loop at a fixed rate. In open loop a
// request's latency counts from the moment it was due, not from when a connection was free for it, so a server that
// stalls cannot hide the requests that it kept from being sent. Prints one JSON object.

#include "histogram.h"
#include "load_connection.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <openssl/ssl.h>

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace
{
using concordat::bench::Connection;
using concordat::bench::Histogram;
using concordat::bench::Target;
using Clock = std::chrono::steady_clock;

struct Options
{
  std::string url;
  std::string ca;
  std::string certificate;
  std::string key;
  std::string method = "GET";
  std::string path = "/";
  std::vector<std::string> bodies; ///< that requests take in turn
  std::vector<std::string> headers;
  unsigned connections = 64;
  unsigned threads = 1;
  double duration = 10;
  double warm_up = 1;
  double rate = 0;
  std::uint64_t key_range = 1'000'000;
  std::uint64_t first = 0;
  std::uint64_t seed = 1;
};

[[noreturn]] void stop(const std::string& why)
{
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

/// Text with `{i}` (a counter) and `{key}` (a random number below the key range).
class Template
{
public:
  explicit Template(std::string_view text)
  {
    while (!text.empty())
    {
      const auto counter = text.find("{i}");
      const auto key = text.find("{key}");
      const auto at = std::min(counter, key);
      parts_.push_back(
          {std::string(text.substr(0, at)), at == std::string_view::npos ? '\0'
                                            : at == counter              ? 'i'
                                                                         : 'k'});
      if (at == std::string_view::npos)
        break;
      text.remove_prefix(at + (at == counter ? 3 : 5));
    }
  }

  void append(std::string& out, std::uint64_t counter, std::uint64_t key) const
  {
    for (const auto& part : parts_)
    {
      out += part.text;
      if (part.hole != '\0')
        fmt::format_to(std::back_inserter(out), "{}", part.hole == 'i' ? counter : key);
    }
  }

private:
  struct Part
  {
    std::string text;
    char hole;
  };
  std::vector<Part> parts_;
};

Target parse_url(const std::string& url)
{
  constexpr std::string_view scheme = "https://";
  const auto colon = url.rfind(':');
  if (!url.starts_with(scheme) || colon < scheme.size())
    stop("--url has the form https://host:port");
  return {url.substr(scheme.size(), colon - scheme.size()), url.substr(colon + 1)};
}

std::shared_ptr<SSL_CTX> make_context(const Options& options)
{
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set1_groups_list(context.get(), "P-256:P-384:P-521");
  // One system call a record instead of two.
  SSL_CTX_set_read_ahead(context.get(), 1);
  if (!options.ca.empty())
  {
    if (SSL_CTX_load_verify_locations(context.get(), options.ca.c_str(), nullptr) != 1)
      stop("cannot read the certificate in " + options.ca);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  if (!options.certificate.empty() &&
      (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate.c_str()) != 1 ||
       SSL_CTX_use_PrivateKey_file(context.get(), options.key.c_str(), SSL_FILETYPE_PEM) != 1))
    stop("cannot use the client certificate in " + options.certificate + " with the key in " + options.key);
  return context;
}

struct Outcome
{
  Histogram latencies;
  std::map<int, std::uint64_t> statuses;
  std::uint64_t errors = 0;
};

/// One thread's share of connections and rate.
class Generator
{
public:
  Generator(const Options& options, unsigned number, unsigned connections)
      : options_(options),
        target_(parse_url(options.url)),
        context_(make_context(options)),
        path_(options.path),
        bodies_(options.bodies.begin(), options.bodies.end()),
        random_(options.seed + number),
        counter_(options.first + number),
        epoll_(::epoll_create1(EPOLL_CLOEXEC))
  {
    connections_.resize(connections);
    for (unsigned i = 0; i < connections; ++i)
    {
      if (!open(i))
        stop("cannot connect to " + options.url);
    }
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;
  ~Generator()
  {
    ::close(epoll_);
  }

  Outcome run(Clock::time_point start)
  {
    measured_from_ = start + seconds(options_.warm_up);
    const auto end = measured_from_ + seconds(options_.duration);
    interval_ = options_.rate > 0 ? seconds(options_.threads / options_.rate) : Clock::duration::zero();
    next_due_ = start;
    for (std::size_t i = 0; i < connections_.size(); ++i)
      idle_.push_back(i);
    std::this_thread::sleep_until(start);
    for (auto now = Clock::now(); now < end; now = Clock::now())
    {
      send_what_is_due(now);
      wait(now, end);
    }
    return std::move(outcome_);
  }

private:
  static Clock::duration seconds(double count)
  {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(count));
  }

  bool open(std::size_t index)
  {
    auto& connection = connections_[index];
    connection = std::make_unique<Connection>(target_, context_.get());
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    return connection->usable && ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->socket(), &event) == 0;
  }

  void send_what_is_due(Clock::time_point now)
  {
    const bool open_loop = interval_ > Clock::duration::zero();
    while (!idle_.empty() && (!open_loop || next_due_ <= now))
    {
      const auto index = idle_.front();
      idle_.pop_front();
      send(index, open_loop ? next_due_ : Clock::now());
      next_due_ += interval_;
    }
  }

  void send(std::size_t index, Clock::time_point due)
  {
    auto& connection = *connections_[index];
    compose();
    connection.since = due;
    if (!connection.usable || !connection.send(request_))
      replace(index);
  }

  void compose()
  {
    const auto counter = counter_;
    counter_ += options_.threads;
    const auto key = random_() % options_.key_range;
    request_ = options_.method;
    request_ += ' ';
    path_.append(request_, counter, key);
    request_ += " HTTP/1.1\r\nhost: ";
    request_ += target_.host;
    request_ += "\r\n";
    for (const auto& header : options_.headers)
    {
      request_ += header;
      request_ += "\r\n";
    }
    body_text_.clear();
    if (!bodies_.empty())
      bodies_[counter % bodies_.size()].append(body_text_, counter, key);
    if (!body_text_.empty())
      fmt::format_to(std::back_inserter(request_), "content-length: {}\r\n", body_text_.size());
    request_ += "\r\n";
    request_ += body_text_;
  }

  void wait(Clock::time_point now, Clock::time_point end)
  {
    auto until = end;
    if (interval_ > Clock::duration::zero() && !idle_.empty())
      until = std::min(until, next_due_);
    const auto left = std::max(Clock::duration::zero(), until - now);
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    const timespec timeout{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
    epoll_event events[64];
    const int count = ::epoll_pwait2(epoll_, events, 64, &timeout, nullptr);
    for (int i = 0; i < count; ++i)
      receive(events[i].data.u64);
  }

  void receive(std::size_t index)
  {
    auto& connection = *connections_[index];
    const auto status = connection.receive();
    if (!connection.usable)
      return replace(index);
    if (!status)
      return;
    const auto now = Clock::now();
    if (now >= measured_from_)
    {
      outcome_.latencies.record(static_cast<std::uint64_t>((now - connection.since).count()));
      ++outcome_.statuses[*status];
    }
    idle_.push_back(index);
  }

  /// A connection that broke is an error, and the load goes on with a new one.
  void replace(std::size_t index)
  {
    if (Clock::now() >= measured_from_)
      ++outcome_.errors;
    if (!open(index))
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    idle_.push_back(index);
  }

  const Options& options_;
  Target target_;
  std::shared_ptr<SSL_CTX> context_;
  Template path_;
  std::vector<Template> bodies_;
  std::mt19937_64 random_;
  std::uint64_t counter_;
  int epoll_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<std::size_t> idle_;
  Clock::time_point measured_from_;
  Clock::time_point next_due_;
  Clock::duration interval_{};
  std::string request_;
  std::string body_text_;
  Outcome outcome_;
};

void print(const Options& options, const Outcome& outcome)
{
  const auto microseconds = [&](double part) { return static_cast<double>(outcome.latencies.percentile(part)) / 1000; };
  std::string statuses;
  for (const auto& [status, count] : outcome.statuses)
    statuses += fmt::format("{}\"{}\":{}", statuses.empty() ? "" : ",", status, count);
  const auto total = outcome.latencies.total();
  fmt::print(
      "{{\"requests\":{},\"seconds\":{:.1f},\"requests_per_second\":{:.0f},\"latency_us\":{{\"p50\":{:.1f},"
      "\"p90\":{:.1f},\"p99\":{:.1f},\"p999\":{:.1f},\"max\":{:.1f}}},\"errors\":{},\"statuses\":{{{}}}}}\n",
      total, options.duration, static_cast<double>(total) / options.duration, microseconds(0.5), microseconds(0.9),
      microseconds(0.99), microseconds(0.999), static_cast<double>(outcome.latencies.max()) / 1000, outcome.errors,
      statuses);
}

void run(const Options& options)
{
  std::vector<std::unique_ptr<Generator>> generators;
  for (unsigned i = 0; i < options.threads; ++i)
  {
    const auto share = options.connections / options.threads + (i < options.connections % options.threads ? 1 : 0);
    generators.push_back(std::make_unique<Generator>(options, i, share));
  }
  const auto start = Clock::now() + std::chrono::milliseconds(10);
  std::vector<Outcome> outcomes(options.threads);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < options.threads; ++i)
    threads.emplace_back([&, i] { outcomes[i] = generators[i]->run(start); });
  for (auto& thread : threads)
    thread.join();
  Outcome all;
  for (const auto& outcome : outcomes)
  {
    all.latencies.add(outcome.latencies);
    all.errors += outcome.errors;
    for (const auto& [status, count] : outcome.statuses)
      all.statuses[status] += count;
  }
  print(options, all);
}
}

int main(int argc, char** argv)
{
  std::signal(SIGPIPE, SIG_IGN);
  Options options;
  std::vector<std::string> body_files;
  CLI::App app("HTTPS load generator");
  app.add_option("--url", options.url, "https://host:port")->required();
  app.add_option("--ca", options.ca, "certificate that the server's must be issued by; without it none is checked");
  const auto certificate = app.add_option("--cert", options.certificate, "client certificate (PEM)");
  app.add_option("--key", options.key, "its private key (PEM)")->needs(certificate);
  app.add_option("--method", options.method);
  app.add_option("--path", options.path, "may hold {i}, a counter, and {key}, a random number below --key-range");
  const auto body = app.add_option("--body", options.bodies, "may hold the same; several take turns");
  app.add_option("--body-file", body_files, "body from a file; several take turns")->excludes(body);
  app.add_option("--header", options.headers, "a header, as in 'name: value'; may be repeated");
  app.add_option("--connections", options.connections)->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  app.add_option("--duration", options.duration, "seconds that are measured")->check(CLI::PositiveNumber);
  app.add_option("--warmup", options.warm_up, "seconds before that")->check(CLI::NonNegativeNumber);
  app.add_option("--rate", options.rate, "requests a second (open loop); 0: as fast as the answers come (closed loop)");
  app.add_option("--key-range", options.key_range)->check(CLI::PositiveNumber);
  app.add_option("--first", options.first, "where {i} begins");
  app.add_option("--seed", options.seed, "of {key}");
  CLI11_PARSE(app, argc, argv);
  for (const auto& path : body_files)
  {
    std::ifstream file(path, std::ios::binary);
    if (!file)
      stop("cannot read " + path);
    options.bodies.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  if (options.threads > options.connections)
    stop("each thread needs a connection");
  run(options);
  return 0;
}
