using System.Net;
using System.Text;
using Tributary.Branching;
using Tributary.Postgres;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Tributary.Server.Configuration;

/// <summary>
/// Reads a configuration: the file, the environment over it, flags over both. Every error is found in one pass and located.
/// YAML is read into its node tree and walked by hand: the object mapper of the library needs reflection, which a native binary lacks, and
/// it stops at the first error.
/// </summary>
public sealed class ConfigurationReader
{
    /// <summary>Bytes of a path that the kernel takes for a Unix socket, without the end mark: unix(7), sun_path.</summary>
    const int SocketPathBytesMax = 107;

    /// <summary>A pool holds at least main and one seed; below this not even an empty cluster fits.</summary>
    const long PoolBytesLeast = 256L << 20;

    /// <summary>Postgres with 16 MB of buffers starts and answers in this; with less the kernel ends it before it is ready.</summary>
    const long BranchMemoryBytesLeast = 64L << 20;

    /// <summary>A few segments of the log: with fewer no moment but the newest could be recovered.</summary>
    const long ArchiveBytesLeast = 128L << 20;

    /// <summary>A burst of writes is ahead of main by that much for a moment.</summary>
    const long SlotBytesLeast = 256L << 20;

    /// <summary>A branch that has only started has some 20 MB of its own: its log and the pages that a start writes.</summary>
    const long BranchBytesLeast = 64L << 20;

    /// <summary>Postgres's own processes, the sandbox's, and a few sessions.</summary>
    const int BranchProcessesLeast = 16;

    /// <summary>What the error of a failed start quotes is still in it.</summary>
    const long BranchLogBytesLeast = 1L << 20;

    const string MissingSource =
        "production's URL is missing; write 'source: { url: postgresql://user@host:5432/database }', set TRIBUTARY_SOURCE_URL, or give --source; branches of imported dumps need none, with 'branching: { following: none }'";

    /// <summary>What this program speaks to and starts.</summary>
    const int MajorLeast = 13;

    const int MajorMost = 18;

    readonly ReadContext _context;
    readonly ScalarReader _scalars;
    readonly ConfigurationOverrides _overrides;

    ConfigurationReader(string file, ConfigurationOverrides overrides, Func<string, string?> environment)
    {
        _context = new ReadContext(file, environment);
        _scalars = new ScalarReader(_context);
        _overrides = overrides;
    }

    /// <summary>Reads a file, or with <paramref name="file"/> null only environment and flags.</summary>
    public static ConfigurationResult ReadFile(string? file, ConfigurationOverrides overrides, Func<string, string?> environment)
    {
        if (file is null)
            return Read("", "configuration", overrides, environment);
        try
        {
            return Read(File.ReadAllText(file), file, overrides, environment);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            var message = exception is FileNotFoundException or DirectoryNotFoundException ? "there is no such file; name the configuration with -c" : exception.Message;
            return new ConfigurationResult(null, [new ConfigurationError(file, "", message)]);
        }
    }

    /// <param name="text">YAML; empty for none.</param>
    /// <param name="file">Named in errors.</param>
    public static ConfigurationResult Read(string text, string file, ConfigurationOverrides overrides, Func<string, string?> environment)
    {
        var reader = new ConfigurationReader(file, overrides, environment);
        YamlMappingNode? root;
        try
        {
            root = reader.Load(text);
        }
        catch (YamlException exception)
        {
            return new ConfigurationResult(null, [new ConfigurationError(reader._context.WhereIs(exception.Start).Name, "", $"this is not YAML: {exception.Message}")]);
        }

        // What is not a file of keys has no keys to miss.
        if (reader._context.HasErrors)
            return new ConfigurationResult(null, reader._context.Errors);
        var configuration = reader.Read(new YamlSection(reader._context, root, root?.Start ?? Mark.Empty, "", ""));
        return new ConfigurationResult(reader._context.HasErrors ? null : configuration, reader._context.Errors);
    }

    YamlMappingNode? Load(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        switch (stream.Documents)
        {
            case []:
                return null;
            case [{ RootNode: YamlMappingNode mapping }]:
                return mapping;
            case [var only]:
                _context.Add(_context.WhereIs(only.RootNode.Start), "", "keys and values are expected, for example 'state: /var/lib/tributary'");
                return null;
            default:
                _context.Add(_context.WhereIs(stream.Documents[1].RootNode.Start), "", "one document is expected; a second one begins here");
                return null;
        }
    }

    TributaryConfiguration? Read(YamlSection root)
    {
        var state = Path.GetFullPath((Override(_overrides.State, "--state", "TRIBUTARY_STATE", "state") ?? root.Scalar("state"))?.Text ?? TributaryConfiguration.DefaultStateDirectory());
        var source = ReadSource(root);
        var streams = ReadStreams(root, state);
        var branching = root.Has("branching") || _overrides.Branching ? ReadBranching(root.Section("branching", "branching"), state, source) : null;
        var needsSource = streams.Count > 0 || branching?.Following != FollowingMode.None;
        if (needsSource && source is null && !root.Has("source") && !HasSourceOverride)
            _context.Add(root.Here with { Path = "source.url" }, MissingSource);
        if (branching is { Following: not FollowingMode.None } && streams.Find(stream => $"tributary_{stream.Name}" == branching.SlotName) is { } taken)
            _context.Add(root.Here with { Path = "branching.slot" }, $"the stream '{taken.Name}' has the slot {branching.SlotName} already, by which main is to follow production; name another one here, or rename the stream");
        // It is read also when it is left out, so that its errors are told.
        if (_overrides.NoBranching)
            branching = null;
        var gateway = ReadGateway(root.Section("gateway", "gateway"));
        var api = ReadApi(root.Section("api", "api"), state);
        var telemetry = ReadTelemetry(root.Section("telemetry", "telemetry"));
        if (streams.Count == 0 && branching is null && !_context.HasErrors)
            _context.Add(root.Here, "there is nothing to do: add 'streams:' with a target, or 'branching:' (its settings are all optional: 'branching: {}')");
        return source is null && needsSource ? null : new TributaryConfiguration
        {
            StateDirectory = state,
            Source = source,
            Streams = [.. streams.Select(stream => stream with { StateDirectory = state })],
            Branching = branching,
            Gateway = gateway,
            Api = api,
            Telemetry = telemetry,
        };
    }

    PostgresUrl? ReadSource(YamlSection root)
    {
        // The section is read also under an override, so that its errors do not hide.
        var section = root.Section("source", "source");
        if (Override(_overrides.Source, "--source", "TRIBUTARY_SOURCE_URL", "source.url") is { } over)
            return _scalars.Url(over);
        return section.Exists ? _scalars.UrlOrFile(section) : null;
    }

    bool HasSourceOverride => Override(_overrides.Source, "--source", "TRIBUTARY_SOURCE_URL", "source.url") is not null;

    List<StreamConfiguration> ReadStreams(YamlSection root, string state)
    {
        var streams = new List<StreamConfiguration>();
        var seen = new HashSet<string>();
        foreach (var section in root.List("streams", "streams[]"))
        {
            var nameText = section.Scalar("name");
            var name = _scalars.Matching(
                nameText, ScalarText.StreamName(), "a stream name; use at most 40 lower-case letters, digits and underscores", "");
            if (!section.Has("name"))
                _context.Add(section.Here with { Path = section.KeyPath("name") }, "a stream needs a name");
            else if (name.Length > 0 && !seen.Add(name))
                _context.Add(nameText!.Value, $"a stream above has the name '{name}' too; names are unique");
            if (ReadTarget(section, state) is { } target)
                streams.Add(new StreamConfiguration { Name = name, Target = target });
        }

        if (_overrides.Replica is { } replica && _scalars.Url(new Located(replica, "", new Place("--replica"), "streams[].target.postgres.url")) is { } url)
        {
            if (seen.Contains("replica"))
                _context.Add(new Place("--replica"), "streams[].name", "the file has a stream named 'replica' already; leave one of the two out");
            streams.Add(new StreamConfiguration { Name = "replica", Target = new PostgresTargetConfiguration(url) });
        }

        return streams;
    }

    TargetConfiguration? ReadTarget(YamlSection stream, string state)
    {
        var target = stream.Section("target", "streams[].target");
        var postgres = target.Section("postgres", "streams[].target.postgres");
        var stdout = target.Section("stdout", "streams[].target.stdout");
        if (postgres.Exists && stdout.Exists)
            _context.Add(stdout.Here, "a stream has one target; give postgres or stdout, not both");
        if (postgres.Exists)
            return _scalars.UrlOrFile(postgres) is { } url ? new PostgresTargetConfiguration(url) : null;
        if (stdout.Exists)
            return new StdoutTargetConfiguration(stdout.Scalar("checkpoint")?.Text is { } file ? Path.GetFullPath(file) : null, state);
        if (!stream.Has("target") || (target.Exists && !target.Has("postgres") && !target.Has("stdout")))
            _context.Add(stream.Here with { Path = stream.KeyPath("target") }, "a stream needs a target: 'target: { postgres: { url: postgresql://… } }' or 'target: { stdout: {} }'");
        return null;
    }

    BranchingOptions? ReadBranching(YamlSection section, string state, PostgresUrl? source)
    {
        // The defaults are the record's own; reading them from one keeps them in one place.
        var defaults = new BranchingOptions { StateDirectory = state, Source = source };
        var following = Enum.Parse<FollowingMode>(_scalars.OneOf(section.Scalar("following"), ["physical", "logical", "none"], "physical"), ignoreCase: true);
        if (following != FollowingMode.None && section.Scalar("database") is { } database)
            _context.Add(database, "this is for a main that follows nothing, with 'following: none'; the one that follows production has its databases");
        if (following == FollowingMode.Physical && section.Scalar("postgres-version") is { } version)
            _context.Add(version, "this is for a main that is no standby, with 'following: logical' or 'none'; a standby has production's version");

        return defaults with
        {
            Following = following,
            OwnDatabase = _scalars.Matching(section.Scalar("database"), ScalarText.SlotName(), "a database name; use at most 63 lower-case letters, digits and underscores", defaults.OwnDatabase),
            OwnMajor = section.Scalar("postgres-version") is { } major ? _scalars.Number(major, MajorLeast, MajorMost, MajorMost) : defaults.OwnMajor,
            Driver = _scalars.OneOf(section.Scalar("driver"), ["auto", "btrfs", "xfs", "zfs", "copy"], defaults.Driver),
            PoolPath = section.Scalar("pool")?.Text,
            PoolBytesMax = _scalars.Bytes(section.Scalar("pool-size"), PoolBytesLeast, defaults.PoolBytesMax),
            SlotName = _scalars.Matching(section.Scalar("slot"), ScalarText.SlotName(), "a slot name; Postgres takes at most 63 lower-case letters, digits and underscores", defaults.SlotName),
            SlotBytesMax = _scalars.Bytes(section.Scalar("slot-bytes-max"), SlotBytesLeast, defaults.SlotBytesMax),
            SeedInterval = _scalars.Duration(section.Scalar("seed-interval"), TimeSpan.FromSeconds(1), defaults.SeedInterval),
            SeedsKept = _scalars.Number(section.Scalar("seeds-kept"), 1, 100, defaults.SeedsKept),
            SparesKept = _scalars.Number(section.Scalar("spares"), 0, 16, defaults.SparesKept),
            WalRetention = _scalars.Duration(section.Scalar("wal-retention"), TimeSpan.Zero, defaults.WalRetention),
            ArchiveBytesMax = _scalars.Bytes(section.Scalar("archive-bytes-max"), ArchiveBytesLeast, defaults.ArchiveBytesMax),
            IdleTimeout = _scalars.Duration(section.Scalar("idle-timeout"), TimeSpan.FromSeconds(1), defaults.IdleTimeout),
            BranchesMax = _scalars.Number(section.Scalar("branches-max"), 1, 100_000, defaults.BranchesMax),
            BranchesPerOwnerMax = section.Scalar("branches-per-owner-max") is { } perOwner ? _scalars.Number(perOwner, 1, 100_000, 1) : defaults.BranchesPerOwnerMax,
            BranchBytesMax = section.Scalar("branch-bytes-max") is { } own ? _scalars.Bytes(own, BranchBytesLeast, 0) : defaults.BranchBytesMax,
            RestoreGrace = _scalars.Duration(section.Scalar("restore-grace"), TimeSpan.Zero, defaults.RestoreGrace),
            DeletedKeptMax = _scalars.Number(section.Scalar("deleted-kept-max"), 0, 100_000, defaults.DeletedKeptMax),
            RunningMax = _scalars.Number(section.Scalar("running-max"), 1, 10_000, defaults.RunningMax),
            StartsAtOnceMax = _scalars.Number(section.Scalar("starts-at-once-max"), 1, 1000, defaults.StartsAtOnceMax),
            StartsAheadMax = _scalars.Number(section.Scalar("starts-ahead-max"), 0, 1000, defaults.StartsAheadMax),
            StartTimeout = _scalars.Duration(section.Scalar("start-timeout"), TimeSpan.FromSeconds(1), defaults.StartTimeout),
            SharedBuffers = section.Scalar("shared-buffers") is { } buffers
                ? _scalars.Matching(buffers, ScalarText.PostgresMemory(), "an amount of memory as Postgres writes it, for example 16MB", "")
                : defaults.SharedBuffers,
            BranchMemoryMax = section.Scalar("branch-memory-max") is { } memory ? _scalars.Bytes(memory, BranchMemoryBytesLeast, 0) : defaults.BranchMemoryMax,
            BranchCpusMax = section.Scalar("branch-cpus-max") is { } cpus ? _scalars.Fraction(cpus, 0.01, 1024, 0) : defaults.BranchCpusMax,
            BranchProcessesMax = _scalars.Number(section.Scalar("branch-processes-max"), BranchProcessesLeast, 100_000, defaults.BranchProcessesMax),
            BranchLogBytesMax = _scalars.Bytes(section.Scalar("branch-log-max"), BranchLogBytesLeast, defaults.BranchLogBytesMax),
            OwnerRights = Enum.Parse<OwnerRights>(_scalars.OneOf(section.Scalar("owner-rights"), ["superuser", "application"], "superuser"), ignoreCase: true),
            OwnerRole = _scalars.Matching(section.Scalar("owner-role"), ScalarText.SlotName(), "a role name; use at most 63 lower-case letters, digits and underscores", defaults.OwnerRole),
        };
    }

    GatewayConfiguration ReadGateway(YamlSection section)
    {
        var defaults = new GatewayConfiguration();
        var listen = _scalars.EndPoint(Override(_overrides.GatewayListen, "--listen", "TRIBUTARY_GATEWAY_LISTEN", "gateway.listen") ?? section.Scalar("listen"), defaults.Listen);
        if (section.Has("tls-certificate") != section.Has("tls-key"))
            _context.Add(section.Here, "TLS needs both tls-certificate and tls-key");
        return new GatewayConfiguration
        {
            Listen = listen!,
            TlsCertificate = _scalars.ExistingFile(section.Scalar("tls-certificate")),
            TlsKey = _scalars.ExistingFile(section.Scalar("tls-key")),
            HostSuffix = section.Scalar("host-suffix")?.Text,
            ConnectionsMax = _scalars.Number(section.Scalar("connections-max"), 1, 100_000, defaults.ConnectionsMax),
        };
    }

    ApiConfiguration ReadApi(YamlSection section, string state)
    {
        var given = Override(_overrides.ApiSocket, "--socket", "TRIBUTARY_SOCKET", "api.socket") ?? section.Scalar("socket");
        var socket = Path.GetFullPath(given?.Text ?? TributaryConfiguration.DefaultSocket(state));
        if (Encoding.UTF8.GetByteCount(socket) > SocketPathBytesMax)
            _context.Add(given ?? section.Here with { Path = "api.socket" }, $"the socket's path {socket} has more than {SocketPathBytesMax} bytes, which the kernel refuses; give a shorter one");
        var listenText = section.Scalar("listen");
        var listen = _scalars.EndPoint(listenText, null);
        if (listen is not null && !IPAddress.IsLoopback(listen.Address))
            _context.Add(listenText!.Value, "the API has no sign-in, so it listens on loopback only, for example 127.0.0.1:8432");
        return new ApiConfiguration { Socket = socket, Listen = listen };
    }

    TelemetryConfiguration ReadTelemetry(YamlSection section) => new()
    {
        MetricsListen = _scalars.EndPoint(section.Scalar("metrics-listen"), null),
        OtlpEndpoint = _scalars.HttpUrl(Override(null, "", "OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp-endpoint") ?? section.Scalar("otlp-endpoint")),
    };

    Located? Override(string? flag, string flagName, string variable, string path)
    {
        if (flag is not null)
            return new Located(flag, flag, new Place(flagName), path);
        return _context.Environment(variable) is { Length: > 0 } value ? new Located(value, value, new Place($"environment variable {variable}"), path) : null;
    }
}
