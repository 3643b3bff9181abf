#include "cli/cli.h"

int main(int argc, char** argv)
{
  auto console = concordat::cli::Console::standard();
  return concordat::cli::run(argc, argv, console);
}
