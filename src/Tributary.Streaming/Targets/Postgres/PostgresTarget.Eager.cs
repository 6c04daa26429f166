namespace Tributary.Streaming.Targets.Postgres;

internal sealed partial class PostgresTarget : IEagerTarget
{
    public async Task<IEagerTransaction?> BeginAsync(uint xid, CancellationToken cancellationToken)
    {
        var session = await _sessions.OpenAheadAsync(cancellationToken);
        try
        {
            // Two sessions cannot share an origin before Postgres 16. Without one, a stream in the other direction would carry the rows back.
            if (Lanes.HasOrigin && !session.HasOrigin)
            {
                await session.DisposeAsync();
                return null;
            }

            var watch = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Target, $"tributary {options.Name} watch"), cancellationToken);
            return new EagerTransaction(session, watch, options.Name, xid, _epoch);
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }
}
