namespace Tributary.Streaming.Targets.Stdout;

/// <summary>
/// The one writer of the lines, for all sessions of a stream. A write to a pipe that nobody reads waits in the kernel and cannot be called
/// back: a session that is cancelled leaves it, and the next one begins behind it, so that no two lines mix.
/// </summary>
internal sealed class LineOutput(string pipeline, Stream output)
{
    Task _write = Task.CompletedTask;

    /// <param name="lines">Belongs to the write, also when it is left by cancellation.</param>
    /// <exception cref="StreamException">Kind Target: nobody reads any more, or the disk refuses.</exception>
    public async Task WriteAsync(ReadOnlyMemory<byte> lines, CancellationToken cancellationToken)
    {
        try
        {
            await _write.WaitAsync(cancellationToken);
            _write = Task.Run(async () => await output.WriteAsync(lines, CancellationToken.None), CancellationToken.None);
            await _write.WaitAsync(cancellationToken);
        }
        catch (IOException exception)
        {
            throw Closed(exception);
        }
    }

    /// <summary>Lets nothing stay in this process, and for a file waits for the disk; a pipe or a terminal has none.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (output is FileStream file)
                file.Flush(flushToDisk: true);
            else
                await output.FlushAsync(cancellationToken);
        }
        catch (IOException exception)
        {
            throw Closed(exception);
        }
    }

    StreamException Closed(IOException exception) => new(
        StreamErrorKind.Target,
        $"Standard output of the stream '{pipeline}' takes no more lines: {exception.Message}. The position behind the last whole batch is saved; " +
        "the next run goes on there, and sends again what was written after it.", exception);
}
