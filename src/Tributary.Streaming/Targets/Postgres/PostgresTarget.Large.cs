using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

internal sealed partial class PostgresTarget : IEagerTarget
{
    readonly HashSet<string> _rolesTold = [];

    public async Task<IEagerTransaction?> BeginAsync(uint xid, CancellationToken cancellationToken)
    {
        // Without an origin of its own, a stream in the other direction would carry its rows back.
        if (await _sessions.TryOpenMoreAsync(Lanes.HasOrigin, cancellationToken) is not { } session)
            return null;
        try
        {
            var watch = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Target, $"tributary {options.Name} watch"), cancellationToken);
            return new EagerTransaction(session, watch, xid, PlanAsync, _epoch, options);
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    async Task<WriteOutcome> WriteLargeAsync(TransactionBatch batch, CancellationToken cancellationToken)
    {
        try
        {
            if (batch.Transactions is [{ HasSchemaChanges: true }])
            {
                var outcome = await Lanes.UseAsync(session => new SchemaTransaction(session, options, _epoch, _rolesTold, followed).WriteAsync(batch, cancellationToken), cancellationToken);
                _tables!.Forget();
                return outcome;
            }

            return new WriteOutcome(await Lanes.UseAsync(
                session => new LargeTransaction(session, PlanAsync, _epoch).WriteAsync(batch, cancellationToken), cancellationToken));
        }
        catch (RefusedException refused)
        {
            throw refused.ToFailure(options.Name);
        }
    }

    async Task<ApplyPlanner> PlanAsync(IReadOnlyList<Change> changes, Lsn commitEndLsn, long first, bool inOrder, CancellationToken cancellationToken)
    {
        await _planning.WaitAsync(cancellationToken);
        try
        {
            var planner = new ApplyPlanner(inOrder);
            await _tables!.PlanAsync(planner, changes, commitEndLsn, first, cancellationToken);
            return planner;
        }
        finally
        {
            _planning.Release();
        }
    }
}
