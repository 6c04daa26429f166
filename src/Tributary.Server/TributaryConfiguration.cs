using System.Net;
using Tributary.Branching;
using Tributary.Postgres;
using Tributary.Server.Configuration;
using Tributary.Streaming;

namespace Tributary.Server;

/// <summary>What a server does; valid in itself. Read by <c>Configuration/ConfigurationReader</c>.</summary>
public sealed record TributaryConfiguration
{
    /// <summary>Where all that the server keeps is: pool, catalog, keys, socket, lock.</summary>
    public required string StateDirectory { get; init; }

    /// <summary>Production; null when main follows nothing and there is no stream.</summary>
    public required PostgresUrl? Source { get; init; }

    public IReadOnlyList<StreamConfiguration> Streams { get; init; } = [];

    /// <summary>Null: no branches, and then no gateway.</summary>
    public BranchingOptions? Branching { get; init; }

    public GatewayConfiguration Gateway { get; init; } = new();

    public required ApiConfiguration Api { get; init; }

    public TelemetryConfiguration Telemetry { get; init; } = new();

    /// <summary>Branches as of now come from a running spare, so that the first one waits for it.</summary>
    /// <summary>In the state folder; holds a folder a stream for transactions that exceed the budget of memory.</summary>
    public const string SpoolFolder = "spool";

    /// <summary>In the state folder; holds the positions of streams to standard output.</summary>
    public const string CheckpointsFolder = "streams";

    public bool KeepsSpares => Branching is { SparesWanted: > 0 };

    /// <summary>Production, for what is not there without one.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    internal PostgresUrl Production => Source ?? throw new InvalidOperationException("A configuration without a source has neither a stream nor a main that follows.");

    /// <summary>Main is a standby of production.</summary>
    internal bool FollowsPhysically => Branching is { Following: FollowingMode.Physical };

    /// <summary>Production is streamed into main.</summary>
    internal bool FollowsLogically => Branching is { Following: FollowingMode.Logical };

    /// <summary>Main holds what production does.</summary>
    internal bool FollowsProduction => FollowsPhysically || FollowsLogically;

    /// <summary>The state folder has followed production before, or begun to.</summary>
    internal bool HasCatalog => File.Exists(Path.Combine(StateDirectory, BranchManager.CatalogFile));

    /// <summary>Where state is kept when nothing says so: the system's folder for root, the user's own for anyone else.</summary>
    public static string DefaultStateDirectory() => Environment.IsPrivilegedProcess
        ? "/var/lib/tributary"
        : Path.Combine(
            Environment.GetEnvironmentVariable("XDG_STATE_HOME") is { Length: > 0 } home ? home : Path.Combine(Environment.GetEnvironmentVariable("HOME") ?? "/tmp", ".local/state"),
            "tributary");

    public static string DefaultSocket(string stateDirectory) => Path.Combine(stateDirectory, "tributary.sock");
}

/// <summary>One stream: production to one target.</summary>
public sealed record StreamConfiguration
{
    /// <summary>Names its slot and its publication (<c>tributary_NAME</c>): 1 to 40 lower-case letters, digits and underscores.</summary>
    public required string Name { get; init; }

    /// <summary>What receives the changes.</summary>
    public required TargetConfiguration Target { get; init; }

    /// <summary>Where the server keeps its state; transactions that exceed memory are held below it, in <c>spool/NAME</c>.</summary>
    public string StateDirectory { get; init; } = TributaryConfiguration.DefaultStateDirectory();

    /// <param name="output">Where a stream of lines goes; null for what looks at a stream without running it.</param>
    internal StreamOptions Options(PostgresUrl source, Stream? output = null)
    {
        var options = new StreamOptions { Name = Name, Source = source, SpoolFolder = Path.Combine(StateDirectory, TributaryConfiguration.SpoolFolder, Name) };
        return Target switch
        {
            PostgresTargetConfiguration postgres => options with { Target = postgres.Url },
            StdoutTargetConfiguration stdout => options with { Stdout = new StdoutOptions { Output = output ?? Stream.Null, CheckpointFile = stdout.CheckpointFile(Name) } },
            _ => throw new InvalidOperationException($"There is no target {Target.GetType().Name}."),
        };
    }
}

/// <summary>What receives a stream's changes; <see cref="object.ToString"/> names it for people, without a password.</summary>
public abstract record TargetConfiguration;

/// <summary>A Postgres database.</summary>
public sealed record PostgresTargetConfiguration(PostgresUrl Url) : TargetConfiguration
{
    public override string ToString() => Url.ToString();
}

/// <summary>The standard output of <c>tributary stream run</c>, a line of JSON for each change.</summary>
/// <param name="Checkpoint">The file that keeps the position; null for one named after the stream in <paramref name="StateDirectory"/>.</param>
public sealed record StdoutTargetConfiguration(string? Checkpoint, string StateDirectory) : TargetConfiguration
{
    public string CheckpointFile(string stream) => Checkpoint ?? Path.Combine(StateDirectory, TributaryConfiguration.CheckpointsFolder, $"{stream}.checkpoint");

    public override string ToString() => "standard output";
}

public sealed record GatewayConfiguration
{
    public const int DefaultPort = 6432;

    /// <summary>Where branches are reached. Default <c>127.0.0.1:6432</c>; port 0 takes a free one.</summary>
    public IPEndPoint Listen { get; init; } = new(IPAddress.Loopback, DefaultPort);

    /// <summary>PEM files; TLS is offered when both are given.</summary>
    public string? TlsCertificate { get; init; }

    public string? TlsKey { get; init; }

    /// <summary>With <c>branches.example.com</c>, the TLS host name <c>NAME.branches.example.com</c> names branch NAME. Default: none.</summary>
    public string? HostSuffix { get; init; }

    /// <summary>Client connections at once. Default 1,000.</summary>
    public int ConnectionsMax { get; init; } = 1000;
}

public sealed record ApiConfiguration
{
    /// <summary>The Unix socket of the API, open to its owner only.</summary>
    public required string Socket { get; init; }

    /// <summary>A loopback address for the API beside the socket; null for none. Whoever reaches it may do everything.</summary>
    public IPEndPoint? Listen { get; init; }
}

/// <summary>Where figures go besides <c>/metrics</c> of the API.</summary>
public sealed record TelemetryConfiguration
{
    /// <summary>An address that serves <c>/metrics</c> and nothing else; null for none.</summary>
    public IPEndPoint? MetricsListen { get; init; }

    /// <summary>A collector that takes metrics and traces by OTLP; null for none.</summary>
    public Uri? OtlpEndpoint { get; init; }

    /// <summary>Reads <see cref="MetricsListen"/>; null when the text is not an address and port.</summary>
    public static IPEndPoint? ReadAddress(string text) => ScalarText.TryEndPoint(text, out var address) ? address : null;
}
