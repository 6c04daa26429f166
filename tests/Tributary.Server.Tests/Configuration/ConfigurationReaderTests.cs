using System.Net;
using Tributary.Server.Configuration;

namespace Tributary.Server.Tests.Configuration;

public sealed class ConfigurationReaderTests
{
    const string Full = """
        state: /srv/tributary
        source: { url: "postgresql://reader:${PASSWORD}@db:5433/shop" }
        streams:
          - name: replica
            target: { postgres: { url: postgresql://writer@copy/shop } }
        branching: { pool-size: 2GiB, seed-interval: 1500ms, idle-timeout: 5m, seeds-kept: 3, driver: zfs, pool: tank/shop }
        gateway: { listen: "[::1]:7000" }
        api: { listen: localhost:8432 }
        """;

    [Fact]
    public void A_file_is_read_with_every_unit_and_the_environment_in_its_values()
    {
        var configuration = Read(Full, variables: ("PASSWORD", "s3cret"));

        Assert.Equal("/srv/tributary", configuration.StateDirectory);
        Assert.Equal(("db", 5433, "reader", "s3cret"), (configuration.Source!.Host, configuration.Source!.Port, configuration.Source!.User, configuration.Source!.Password));
        Assert.Equal(("replica", "copy"), (configuration.Streams[0].Name, ((PostgresTargetConfiguration)configuration.Streams[0].Target).Url.Host));
        var branching = configuration.Branching!;
        Assert.Equal((2L << 30, 3, "zfs", "tank/shop"), (branching.PoolBytesMax, branching.SeedsKept, branching.Driver, branching.PoolPath));
        Assert.Equal((TimeSpan.FromMilliseconds(1500), TimeSpan.FromMinutes(5)), (branching.SeedInterval, branching.IdleTimeout));
        Assert.Equal(new IPEndPoint(IPAddress.IPv6Loopback, 7000), configuration.Gateway.Listen);
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 8432), configuration.Api.Listen);
        Assert.Equal("/srv/tributary/tributary.sock", configuration.Api.Socket);
    }

    [Fact]
    public void A_main_that_follows_nothing_needs_no_source()
    {
        var configuration = Read("state: /srv/x\nbranching: { following: none, database: shop, postgres-version: 17 }");

        Assert.Null(configuration.Source);
        Assert.Equal((Branching.FollowingMode.None, "shop", 17, 0), (configuration.Branching!.Following, configuration.Branching.Database, configuration.Branching.OwnMajor, configuration.Branching.SparesWanted));
        Assert.False(configuration.KeepsSpares);
        Assert.Equal("app", Read("branching: { following: none }").Branching!.Database);
    }

    [Fact]
    public void A_main_that_is_streamed_into_has_a_version_of_its_own_and_productions_database()
    {
        var configuration = Read("source: { url: postgresql://u@h/d }\nbranching: { following: logical, postgres-version: 18 }");

        Assert.Equal((Branching.FollowingMode.Logical, "d", 18, 1), (configuration.Branching!.Following, configuration.Branching.Database, configuration.Branching.OwnMajor, configuration.Branching.SparesWanted));
    }

    [Fact]
    public void The_environment_goes_over_the_file_and_flags_over_both()
    {
        (string, string?)[] variables =
        [
            ("PASSWORD", "s3cret"), ("TRIBUTARY_STATE", "/env/state"), ("TRIBUTARY_SOURCE_URL", "postgresql://env@host/db"),
            ("TRIBUTARY_GATEWAY_LISTEN", "127.0.0.1:1111"), ("TRIBUTARY_SOCKET", "/env/socket"),
        ];
        var overrides = new ConfigurationOverrides { State = "/flag/state", Source = "postgresql://flag@host/db", GatewayListen = "127.0.0.1:2222", ApiSocket = "/flag/socket" };

        var file = Read(Full, variables: ("PASSWORD", "s3cret"));
        var environment = Read(Full, variables: variables);
        var flags = Read(Full, overrides, variables);

        Assert.Equal(("/srv/tributary", "reader", 7000, "/srv/tributary/tributary.sock"), Facts(file));
        Assert.Equal(("/env/state", "env", 1111, "/env/socket"), Facts(environment));
        Assert.Equal(("/flag/state", "flag", 2222, "/flag/socket"), Facts(flags));

        static (string, string, int, string) Facts(TributaryConfiguration configuration) =>
            (configuration.StateDirectory, configuration.Source!.User, configuration.Gateway.Listen.Port, configuration.Api.Socket);
    }

    [Fact]
    public void Every_error_is_told_at_once_in_the_order_of_the_file()
    {
        const string Wrong = """
            state: /var/lib/x
            sorce: { url: postgresql://u@h/d }
            streams:
              - name: Bad-Name
                target: { postgres: { url: mysql://h/d } }
              - nam: two
                target: {}
            branching:
              pool-size: 1MB
              idle-timeout: 5 minutes
              driver: ntfs
              seeds-kept: 0
            gateway:
              listen: here
              tls-certificate: /nowhere.pem
            api:
              listen: 0.0.0.0:80
              socket: [a, b]
            """;

        var errors = Errors(Wrong, new ConfigurationOverrides { Replica = "mysql://h/d" });

        Assert.Equal(
            [
                "t.yaml:1:1: source.url: production's URL is missing; write 'source: { url: postgresql://user@host:5432/database }', set TRIBUTARY_SOURCE_URL, or give --source; branches of imported dumps need none, with 'branching: { following: none }'",
                "t.yaml:2:1: sorce: there is no such key; did you mean 'source'?",
                "t.yaml:4:11: streams[0].name: 'Bad-Name' is not a stream name; use at most 40 lower-case letters, digits and underscores",
                "t.yaml:5:32: streams[0].target.postgres.url: a Postgres URL starts with postgresql:// (for example postgresql://user:password@host:5432/database)",
                "t.yaml:6:5: streams[1].nam: there is no such key; did you mean 'name'?",
                "t.yaml:6:5: streams[1].name: a stream needs a name",
                "t.yaml:6:5: streams[1].target: a stream needs a target: 'target: { postgres: { url: postgresql://… } }' or 'target: { stdout: {} }'",
                "t.yaml:9:14: branching.pool-size: '1MB' is not a size; write a whole number and KiB, MiB, GiB or TiB, for example 64GiB",
                "t.yaml:10:17: branching.idle-timeout: '5 minutes' is not a duration; write a whole number and ms, s, m, h or d, for example 15s",
                "t.yaml:11:11: branching.driver: 'ntfs' is not one of auto, btrfs, xfs, zfs, copy",
                "t.yaml:12:15: branching.seeds-kept: '0' is not a whole number from 1 to 100",
                "t.yaml:14:3: gateway: TLS needs both tls-certificate and tls-key",
                "t.yaml:14:11: gateway.listen: 'here' is not an address and port, for example 127.0.0.1:6432 or [::1]:6432",
                "t.yaml:15:20: gateway.tls-certificate: there is no file '/nowhere.pem'",
                "t.yaml:17:11: api.listen: the API has no sign-in, so it listens on loopback only, for example 127.0.0.1:8432",
                "t.yaml:18:11: api.socket: a single value is expected here, not a list",
                "--replica: streams[].target.postgres.url: a Postgres URL starts with postgresql:// (for example postgresql://user:password@host:5432/database)",
            ],
            errors);
    }

    [Theory]
    [InlineData("a: [", "t.yaml:2:1: this is not YAML")]
    [InlineData("- one", "t.yaml:1:1: keys and values are expected")]
    [InlineData("source: { url: postgresql://u@h/d }", "t.yaml:1:1: there is nothing to do")]
    [InlineData("source: { url: 'postgresql://u:${NONE}@h/d' }\nbranching: {}", "t.yaml:1:16: source.url: the environment variable NONE is not set")]
    [InlineData("source: { url-file: /nowhere }\nbranching: {}", "t.yaml:1:21: source.url-file: cannot read '/nowhere'")]
    [InlineData("source: { url: postgresql://u@h/d }\nbranching: { pool-size: 1MiB }", "t.yaml:2:25: branching.pool-size: '1MiB' is too small; at least 256MiB is needed")]
    [InlineData("source: { url: postgresql://u@h/d }\nbranching: {}\nbranching: {}", "t.yaml:3:1: this is not YAML")]
    [InlineData("branching: { following: physical }", "t.yaml:1:1: source.url: production's URL is missing")]
    [InlineData("branching: { following: none }\nstreams: [ { name: a, target: { postgres: { url: postgresql://u@h/d } } } ]", "t.yaml:1:1: source.url: production's URL is missing")]
    [InlineData("source: { url: postgresql://u@h/d }\nbranching: { following: nothing }", "t.yaml:2:25: branching.following: 'nothing' is not one of physical, logical, none")]
    [InlineData("source: { url: postgresql://u@h/d }\nbranching: { postgres-version: 16 }", "t.yaml:2:32: branching.postgres-version: this is for a main that is no standby")]
    [InlineData("source: { url: postgresql://u@h/d }\nbranching: { following: logical, slot: tributary_a }\nstreams: [ { name: a, target: { postgres: { url: postgresql://u@h/d } } } ]", "t.yaml:1:1: branching.slot: the stream 'a' has the slot tributary_a already")]
    [InlineData("source: { url: postgresql://u@h/d }\nbranching: { database: shop }", "t.yaml:2:24: branching.database: this is for a main that follows nothing")]
    [InlineData("branching: { following: none, postgres-version: 9 }", "t.yaml:1:49: branching.postgres-version: '9' is not a whole number from 13 to 18")]
    public void A_single_error_is_located(string text, string expected)
    {
        var error = Assert.Single(Errors(text, new ConfigurationOverrides()));

        Assert.StartsWith(expected, error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_from_the_environment_is_in_no_error()
    {
        var error = Assert.Single(Errors("source: { url: 'mysql://u:${PASSWORD}@h/d' }\nbranching: { owner-role: 'R ${PASSWORD}' }", new ConfigurationOverrides { Source = "postgresql://u@h/d" }, ("PASSWORD", "s3cret")));

        Assert.Equal("t.yaml:2:26: branching.owner-role: 'R ${PASSWORD}' is not a role name; use at most 63 lower-case letters, digits and underscores", error);
    }

    [Fact]
    public void A_path_that_no_socket_can_have_is_refused()
    {
        var error = Assert.Single(Errors($"state: /{new string('x', 120)}\nsource: {{ url: postgresql://u@h/d }}\nbranching: {{}}", new ConfigurationOverrides()));

        Assert.Contains("more than 107 bytes", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_is_an_error_of_its_own() => Assert.Equal(
        "/nowhere.yaml: there is no such file; name the configuration with -c",
        Assert.Single(ConfigurationReader.ReadFile("/nowhere.yaml", new ConfigurationOverrides(), _ => null).Errors).ToString());

    [Theory]
    [InlineData("pool-siz", "pool-size")]
    [InlineData("idle-timout", "idle-timeout")]
    [InlineData("Driver", "driver")]
    [InlineData("colour", null)]
    public void A_key_is_told_by_its_nearest(string written, string? meant) =>
        Assert.Equal(meant, ConfigurationKeys.Nearest(written, ConfigurationKeys.BySection["branching"]));

    static TributaryConfiguration Read(string text, ConfigurationOverrides? overrides = null, params (string Name, string? Value)[] variables)
    {
        var read = ConfigurationReader.Read(text, "t.yaml", overrides ?? new ConfigurationOverrides(), Environment(variables));
        Assert.Empty(read.Errors);
        return read.Configuration!;
    }

    static IEnumerable<string> Errors(string text, ConfigurationOverrides overrides, params (string Name, string? Value)[] variables)
    {
        var read = ConfigurationReader.Read(text, "t.yaml", overrides, Environment(variables));
        Assert.Null(read.Configuration);
        return read.Errors.Select(error => error.ToString());
    }

    static Func<string, string?> Environment((string Name, string? Value)[] variables) =>
        name => variables.FirstOrDefault(variable => variable.Name == name).Value;
}
