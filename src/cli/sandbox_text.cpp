#include "cli/sandbox_text.h"

#include "cli/table.h"

#include <filesystem>

namespace concordat::cli
{
void print_welcome(Console& console, const Workspace& workspace, const std::vector<RunningNode>& running)
{
  console.out << "The service is open. The platform is virtual: it protects nothing, use it for trying out only.\n\n";
  Table nodes(console, {"NODE", "ADDRESS", "ROLE", "PROCESS", "DIRECTORY"});
  for (unsigned i = 0; i < running.size(); ++i)
    nodes.add(
        {{"node" + std::to_string(i)},
         {"https://" + running[i].address, Colour::green},
         {running[i].primary ? "primary" : "backup"},
         {std::to_string(running[i].pid)},
         {workspace.node("", i)}});
  nodes.finish();

  const auto members = workspace.count("member");
  const auto users = workspace.count("user");
  console.out << "\nCallers: member0";
  if (members > 1)
    console.out << " to member" << members - 1;
  if (users > 0)
    console.out << ", user0" << (users > 1 ? " to user" + std::to_string(users - 1) : "");
  console.out << " (--as; certificates and keys in " << workspace.common() << ")\n";

  std::error_code error;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", error).string();
  const auto program = shell_quoted(error ? "concordat" : own);
  const auto& address = running.front().address;
  const auto where = " --url https://" + address + " --workspace " + shell_quoted(workspace.directory());
  console.out << "\nTry in another terminal:\n"
              << "  " << program << " submit " << shell_quoted(workspace.sample()) << where << " --as member0\n"
              << "  " << program << " report" << where << " --as member0\n"
              << "  curl --cacert " << shell_quoted(workspace.common("service_cert.pem")) << " https://" << address
              << "/node/network\n"
              << "  " << program << " ledger verify " << shell_quoted(workspace.node("ledger")) << "\n";
  if (running.size() > 2)
    for (const auto& node : running)
      if (node.primary)
        console.out << "  kill -9 " << node.pid << "   # the primary: another node takes over, and nothing is lost\n";
  console.out << "\nCtrl-C stops it; the same command starts it again with all its data.\n" << std::flush;
}

std::string last_lines(std::string_view text, std::size_t count)
{
  while (text.ends_with('\n'))
    text.remove_suffix(1);
  std::size_t begin = text.size();
  for (std::size_t lines = 0; lines < count && begin > 0; ++lines)
  {
    const auto line_end = text.rfind('\n', begin - 1);
    begin = line_end == std::string_view::npos ? 0 : line_end;
  }
  std::string out;
  auto rest = text.substr(begin);
  while (!rest.empty())
  {
    if (rest.front() == '\n')
      rest.remove_prefix(1);
    const auto end = std::min(rest.find('\n'), rest.size());
    out += "  " + printable(rest.substr(0, end)) + "\n";
    rest.remove_prefix(end);
  }
  return out;
}
}
