// The HTTP stack of a node with nothing behind it: what a node cannot be faster than.

#include "http/server.h"
#include "http/test_identity.h"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

namespace
{
using concordat::Response;

/// As large as a typical answer.
const std::string fixed_answer =
    R"({"transaction_id":"2.18","group_status":"IN_CONSENSUS","majority_minority":"Majority",)"
    R"("count_of_unique_values":1,"members_in_agreement":3,"total_votes_count":3,)"
    R"("unique_id":"0123456789abcdef0123456789abcdef","values":["one","two","three"]})";

void answer(const std::shared_ptr<concordat::http::Exchange>& exchange)
{
  auto& request = exchange->request();
  exchange->respond(Response::json(request.method == "POST" ? std::move(request.body) : fixed_answer));
}

int serve(const std::string& port, unsigned threads, const std::string& certificate_path)
{
  concordat::http::Server::Options options;
  options.threads = threads;
  concordat::http::Limits limits;
  limits.max_body_size = 64 << 20;
  limits.max_open_sessions_soft = limits.max_open_sessions_hard = 10'000;
  options.interfaces.push_back({"main", "127.0.0.1:" + port, limits});
  const auto server = concordat::http::Server::start(options, answer);
  if (!server)
  {
    std::fprintf(stderr, "%s\n", server.error().describe().c_str());
    return 1;
  }
  const auto identity = concordat::http::test::make_identity();
  if (const auto set = (*server)->set_identity("main", {identity.certificate_pem, identity.key_pem}); !set)
  {
    std::fprintf(stderr, "%s\n", set.error().describe().c_str());
    return 1;
  }
  if (!certificate_path.empty())
    std::ofstream(certificate_path) << identity.certificate_pem;
  std::printf("%s\n", (*server)->address("main").c_str());
  std::fflush(stdout);

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  int received = 0;
  sigwait(&ends, &received);
  return 0;
}
}

int main(int argc, char** argv)
{
  CLI::App app("TLS echo server: POST gives back its body, GET a fixed JSON object of some 250 bytes");
  std::string port = "0";
  std::string certificate_path;
  unsigned threads = 0;
  app.add_option("--port", port, "port on 127.0.0.1; 0 takes any and prints it");
  app.add_option("--threads", threads, "I/O threads; 0: one per core");
  app.add_option("--cert-out", certificate_path, "where to write the server's certificate");
  CLI11_PARSE(app, argc, argv);

  // Blocked before the threads start, so that only the main thread takes them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  return serve(port, threads, certificate_path);
}
