using System.Globalization;
using System.Text.RegularExpressions;
using Tributary.Contracts;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Writes;

/// <summary>What one contestant's turns of pgbench add up to.</summary>
sealed partial class PgbenchTally
{
    const int Clients = 4;
    const int Seconds = 20;

    readonly Role _role;
    readonly string _contestant;
    readonly ChildProcessSpec _pgbench;
    readonly List<double> _perSecond = [];

    PgbenchTally(Role role, string contestant, PostgresInstallation installation, string[] target, Dictionary<string, string> environment)
    {
        (_role, _contestant) = (role, contestant);
        _pgbench = new ChildProcessSpec(
            installation.Program("pgbench"), ["--no-vacuum", $"--client={Clients}", "--jobs=2", $"--time={Seconds}", .. target])
        {
            Environment = environment,
        };
    }

    public static string Description => $"{Clients} clients, {Seconds} s a turn";

    public double Median => _perSecond.Order().ElementAt(_perSecond.Count / 2);

    public Measurement Measurement => new(
        _role, _contestant, $"{Median:#,0} tps ({string.Join(", ", _perSecond.Select(static rate => $"{rate:#,0}"))}), {1000 * Clients / Median:0.0} ms each", null, null);

    public static PgbenchTally ThroughGateway(PostgresInstallation installation, BranchResponse branch) => new(
        Role.Ours, "durable branch, through the gateway", installation, ["--host", branch.Host, "--port", $"{branch.Port}", "--username", branch.User, branch.Database],
        new() { ["PGPASSWORD"] = FollowedProduction.PasswordOf(branch), ["PGOPTIONS"] = $"-c branch={branch.Name}" });

    /// <summary>Past the gateway, to tell its share; no client of the product can do that.</summary>
    public static PgbenchTally BesideGateway(PostgresInstallation installation, BranchResponse branch, string socket) => new(
        Role.Part, "the same by its socket, no gateway", installation, ["--host", socket, "--port", "5432", "--username", branch.User, branch.Database], []);

    public static PgbenchTally OfPlain(PostgresInstallation installation, PostgresServer server) => new(
        Role.Peer, "plain cluster on ext4, over TCP", installation, ["--host", "127.0.0.1", "--port", $"{server.Port}", "--username", "postgres", "postgres"], []);

    public async Task RunAsync(bool counts, CancellationToken cancellationToken)
    {
        var result = (await ChildProcesses.RunAsync(_pgbench, cancellationToken)).EnsureSucceeded($"pgbench in {_contestant}");
        if (RateLine().Match(result.StandardOutput) is not { Success: true } line)
            throw new InvalidOperationException($"pgbench in {_contestant} told no rate: {result.StandardOutput}");
        if (counts)
            _perSecond.Add(double.Parse(line.Groups[1].ValueSpan, CultureInfo.InvariantCulture));
    }

    [GeneratedRegex(@"^tps = ([\d.]+)", RegexOptions.Multiline)]
    private static partial Regex RateLine();
}
