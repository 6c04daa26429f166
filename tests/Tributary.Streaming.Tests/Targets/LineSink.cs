using System.Text;

namespace Tributary.Streaming.Tests.Targets;

/// <summary>Takes a stream's bytes as standard output does, and answers them as lines.</summary>
sealed class LineSink : Stream
{
    readonly Lock _lock = new();
    readonly MemoryStream _bytes = new();

    /// <summary>Thrown by writes from now on, as by a pipe without a reader.</summary>
    public IOException? Refusal { get; set; }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public List<string> Lines()
    {
        lock (_lock)
            return [.. Encoding.UTF8.GetString(_bytes.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries)];
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        if (Refusal is { } refusal)
            throw refusal;
        lock (_lock)
            _bytes.Write(buffer, offset, count);
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Write(buffer.ToArray(), 0, buffer.Length);
        return ValueTask.CompletedTask;
    }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
