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
    readonly int _processId;
    readonly List<double> _perSecond = [];
    double _cpuMs;

    /// <param name="processId">Of the process whose time, with that of all below it, is what the contestant uses.</param>
    PgbenchTally(Role role, string contestant, int processId, PostgresInstallation installation, string[] target, Dictionary<string, string> environment)
    {
        (_role, _contestant, _processId) = (role, contestant, processId);
        _pgbench = new ChildProcessSpec(
            installation.Program("pgbench"), ["--no-vacuum", $"--client={Clients}", "--jobs=2", $"--time={Seconds}", .. target])
        {
            Environment = environment,
        };
    }

    public static string Description => $"{Clients} clients, {Seconds} s a turn";

    public double Median => _perSecond.Order().ElementAt(_perSecond.Count / 2);

    public Measurement Measurement => new(
        _role, _contestant, $"{Median:#,0} tps ({string.Join(", ", _perSecond.Select(static rate => $"{rate:#,0}"))}), {1000 * Clients / Median:0.0} ms each",
        1000 * _cpuMs / (Seconds * _perSecond.Sum()), null);

    public static PgbenchTally ThroughGateway(PostgresInstallation installation, TributaryServer tributary, BranchResponse branch) => new(
        Role.Ours, "durable branch, through the gateway", tributary.ProcessId, installation, ["--host", branch.Host, "--port", $"{branch.Port}", "--username", branch.User, branch.Database],
        new() { ["PGPASSWORD"] = FollowedProduction.PasswordOf(branch), ["PGOPTIONS"] = $"-c branch={branch.Name}" });

    /// <summary>Past the gateway, to tell its share; no client of the product can do that.</summary>
    public static PgbenchTally BesideGateway(PostgresInstallation installation, TributaryServer tributary, BranchResponse branch, string socket) => new(
        Role.Part, "the same by its socket, no gateway", tributary.ProcessId, installation, ["--host", socket, "--port", "5432", "--username", branch.User, branch.Database], []);

    public static PgbenchTally OfPlain(PostgresInstallation installation, PostgresServer server) => new(
        Role.Peer, "plain cluster on ext4, over TCP", server.ProcessId!.Value, installation, ["--host", "127.0.0.1", "--port", $"{server.Port}", "--username", "postgres", "postgres"], []);

    public async Task RunAsync(bool counts, CancellationToken cancellationToken)
    {
        var cpuBefore = ProcessMeter.TreeCpuMs(_processId);
        var result = (await ChildProcesses.RunAsync(_pgbench, cancellationToken)).EnsureSucceeded($"pgbench in {_contestant}");
        if (RateLine().Match(result.StandardOutput) is not { Success: true } line)
            throw new InvalidOperationException($"pgbench in {_contestant} told no rate: {result.StandardOutput}");
        if (!counts)
            return;
        _cpuMs += ProcessMeter.TreeCpuMs(_processId) - cpuBefore;
        _perSecond.Add(double.Parse(line.Groups[1].ValueSpan, CultureInfo.InvariantCulture));
    }

    [GeneratedRegex(@"^tps = ([\d.]+)", RegexOptions.Multiline)]
    private static partial Regex RateLine();
}
