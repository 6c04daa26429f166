using System.Diagnostics;
using Tributary.Load.Create;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Wake;

/// <summary>What a person would do without Tributary: <c>postgres -D</c> on the stopped data directory, and a query as soon as it answers.</summary>
sealed class StoppedPostgres(PostgresInstallation installation, string folder, IReadOnlyList<(string Name, string Value)> settings) : IBranchMaker
{
    public Role Role => Role.Ceiling;

    public string Contestant => "bare postgres";

    public double CpuMs => ProcessMeter.EndedChildrenCpuMs();

    public async Task<MadeBranch> MakeAsync(string name, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var server = await BarePostgres.StartAsync(installation, folder, Path.Combine(folder, "socket"), settings, cancellationToken);
        try
        {
            await server.AskAsync(SeedDirectory.FirstRowQuery, SeedDirectory.FirstRow, cancellationToken);
            return new MadeBranch(Stopwatch.GetElapsedTime(started), [], ProcessMeter.TreeBytes(server.ProcessId), () => RemoveAsync(server));
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    static async ValueTask RemoveAsync(BarePostgres server)
    {
        await server.StopAsync();
        await server.DisposeAsync();
    }
}
