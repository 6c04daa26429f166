using System.Diagnostics.CodeAnalysis;
using Npgsql.Internal;
using Npgsql.Internal.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// The bytes of a parameter as they go over the wire, in the binary form of the type that the statement's own cast gives to it. It points into a
/// buffer that must stay as it is until the statement has been sent.
/// </summary>
internal readonly record struct WireValue(ReadOnlyMemory<byte> Bytes, bool IsNull)
{
    public static WireValue Null => new(default, IsNull: true);
}

#pragma warning disable NPG9001 // Npgsql may still change how converters are written; this one is the whole of what we use, and its tests write every type.

/// <summary>
/// Lets Npgsql send a <see cref="WireValue"/> untouched. Its parameter names no type, so that the server takes the one that the statement casts it
/// to, and types that were made after the connection's start need no loading
/// (https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-PARSE).
/// </summary>
internal sealed class WireValueResolver : PgTypeInfoResolverFactory, IPgTypeInfoResolver
{
    public override IPgTypeInfoResolver CreateResolver() => this;

    public override IPgTypeInfoResolver? CreateArrayResolver() => null;

    public PgTypeInfo? GetTypeInfo(Type? type, DataTypeName? dataTypeName, PgSerializerOptions options) =>
        type == typeof(WireValue) ? new PgTypeInfo(options, new Converter(), DataTypeName.Unspecified) : null;

    sealed class Converter() : PgStreamingConverter<WireValue>(customDbNullPredicate: true)
    {
        public override Size GetSize(SizeContext context, [DisallowNull] WireValue value, ref object? writeState) => value.Bytes.Length;

        public override void Write(PgWriter writer, [DisallowNull] WireValue value) => writer.WriteBytes(value.Bytes.Span);

        public override ValueTask WriteAsync(PgWriter writer, [DisallowNull] WireValue value, CancellationToken cancellationToken = default) =>
            writer.WriteBytesAsync(value.Bytes, cancellationToken);

        public override WireValue Read(PgReader reader) => throw new NotSupportedException("Wire values are only written.");

        public override ValueTask<WireValue> ReadAsync(PgReader reader, CancellationToken cancellationToken = default) =>
            throw new NotSupportedException("Wire values are only written.");

        protected override bool IsDbNullValue(WireValue value, ref object? writeState) => value.IsNull;
    }
}

#pragma warning restore NPG9001
