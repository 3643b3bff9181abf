#include "peer/refusal.h"

namespace concordat::peer
{
std::string describe(Refusal reason)
{
  switch (reason)
  {
  case Refusal::none:
    return "it is welcome";
  case Refusal::malformed:
    return "it does not speak the protocol between nodes";
  case Refusal::version:
    return "there is no version of the protocol that both nodes speak";
  case Refusal::certificate:
    return "the certificate is not endorsed by the service";
  case Refusal::service:
    return "it belongs to another service";
  case Refusal::sender:
    return "the node that says hello is not the one that the certificate is for";
  case Refusal::recipient:
    return "another node is meant";
  case Refusal::binding:
    return "the hello was made for another connection";
  case Refusal::membership:
    return "the node is not one that may speak";
  case Refusal::handshake:
    return "the TLS handshake failed";
  case Refusal::time:
    return "it took too long";
  case Refusal::crowded:
    return "too many connections are waiting for their handshake";
  case Refusal::frames:
    return "what it sent is no message within the limits";
  }
  return "the reason is not known to this version";
}
}
