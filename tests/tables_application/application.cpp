// An application that does to the store whatever it is asked to, in order to show what the node lets it do.

#include "concordat/application.h"

#include <boost/json/object.hpp>

namespace concordat
{
namespace
{
class TablesApplication : public Application
{
public:
  ApiInfo info() const override
  {
    return {"Tables", "Reads and writes any map.", "1", {}};
  }

  std::vector<Endpoint> endpoints() override
  {
    return {
        endpoint(
            "POST", "/put", Mode::read_write,
            [](Context& context, const std::string& map, const std::string& key)
            {
              context.transaction().put(map, key, context.request().body);
              return Response::empty();
            }),
        endpoint(
            "POST", "/remove", Mode::read_write,
            [](Context& context, const std::string& map, const std::string& key)
            {
              context.transaction().remove(map, key);
              return Response::empty();
            }),
        // Tries the map it is given, and writes to one of its own whatever came of that.
        endpoint(
            "POST", "/try_put", Mode::read_write,
            [](Context& context, const std::string& map, const std::string& key)
            {
              std::string outcome = "written";
              try
              {
                context.transaction().put(map, key, context.request().body);
              }
              catch (const AccessDenied& denied)
              {
                outcome = denied.what();
              }
              context.transaction().put("outcomes", key, outcome);
              return Response::text(outcome);
            }),
        endpoint(
            "GET", "/get", Mode::read_only,
            [](Context& context, const std::string& map, const std::string& key)
            {
              const auto value = context.state()->get(map, key);
              return value ? Response::text(std::string(*value)) : Response::error(404, "KeyNotFound", "no such key");
            }),
        endpoint(
            "GET", "/keys", Mode::read_only,
            [](Context& context, const std::string& map, const std::string&)
            {
              std::string keys;
              const auto cursor = context.state()->scan(map);
              while (cursor->next())
                keys.append(cursor->key()) += '\n';
              return Response::text(std::move(keys));
            }),
        endpoint(
            "GET", "/party", Mode::read_only,
            [](Context& context, const std::string&, const std::string& key)
            {
              const auto member = context.member(key);
              const auto party = member ? member : context.user(key);
              if (!party)
                return Response::error(404, "KeyNotFound", "no such member or user");
              return Response::text((context.is_member(key) ? "member\n" : "user\n") + party->certificate_pem);
            }),
    };
  }

private:
  using Run = Response (*)(Context&, const std::string& map, const std::string& key);

  static Endpoint endpoint(std::string method, std::string path, Mode mode, Run run)
  {
    Endpoint made;
    made.method = std::move(method);
    made.path = std::move(path);
    made.mode = mode;
    made.policies = {AuthPolicy::member_cert};
    made.handler = [run](Context& context)
    {
      const auto& request = context.request();
      return run(context, request.parameter("map").value_or(""), request.parameter("key").value_or(""));
    };
    return made;
  }
};
}

Result<std::unique_ptr<Application>> make_application(const boost::json::object&)
{
  return std::make_unique<TablesApplication>();
}
}
