using System.Diagnostics;

namespace Tributary.Streaming;

/// <summary>
/// Spans of the source <c>Tributary.Streaming</c>: a copy, a batch, a reconnection; never a row. They cost nothing until somebody listens.
/// </summary>
internal static class StreamTraces
{
    public const string Name = "Tributary.Streaming";

    static readonly ActivitySource Source = new(Name);

    public static Activity? Copy(string stream) => Source.StartActivity("stream.copy")?.SetTag("tributary.stream", stream);

    public static Activity? Write(string stream, TransactionBatch batch) => Source.StartActivity("stream.write")?
        .SetTag("tributary.stream", stream)
        .SetTag("tributary.transactions", batch.Transactions.Count)
        .SetTag("tributary.lsn", batch.Position.ToString());

    /// <param name="reason">Without a row, as it is logged.</param>
    public static void Reconnect(string stream, string reason)
    {
        using var activity = Source.StartActivity("stream.reconnect");
        activity?.SetTag("tributary.stream", stream).SetStatus(ActivityStatusCode.Error, reason);
    }
}
