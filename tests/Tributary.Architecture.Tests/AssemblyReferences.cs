using System.Collections.Immutable;
using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace Tributary.Architecture.Tests;

/// <summary>One type's use of another type of the same assembly; both by their outermost declaring type.</summary>
readonly record struct TypeUse(string FromNamespace, string FromType, string ToNamespace, string ToType);

/// <summary>
/// Reads from a compiled assembly which of its types use which others: in base types, members, attributes, local variables and method bodies.
/// Compiled code is read rather than source, since a <c>using</c> line says neither what is used nor what is used without one.
/// A constant is copied at compile time and leaves no trace; such a use is not seen.
/// </summary>
sealed class AssemblyReferences : IDisposable
{
    static readonly OpCode[] OneByte = new OpCode[256];
    static readonly OpCode[] TwoByte = new OpCode[256];

    readonly PEReader _file;
    readonly MetadataReader _metadata;

    static AssemblyReferences()
    {
        foreach (var field in typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static))
        {
            var code = (OpCode)field.GetValue(null)!;
            (code.Size == 1 ? OneByte : TwoByte)[code.Value & 0xFF] = code;
        }
    }

    public AssemblyReferences(string path)
    {
        _file = new PEReader(File.OpenRead(path));
        _metadata = _file.GetMetadataReader();
    }

    public void Dispose() => _file.Dispose();

    public IReadOnlySet<TypeUse> Read()
    {
        var uses = new HashSet<TypeUse>();
        foreach (var handle in _metadata.TypeDefinitions)
        {
            var from = Outermost(handle);
            foreach (var to in UsedBy(_metadata.GetTypeDefinition(handle)).Select(Outermost).Where(to => to != from))
                uses.Add(new TypeUse(Namespace(from), Name(from), Namespace(to), Name(to)));
        }

        return uses;
    }

    List<TypeDefinitionHandle> UsedBy(TypeDefinition type)
    {
        var collector = new TypeCollector();
        Collect(collector, type.BaseType);
        foreach (var implemented in type.GetInterfaceImplementations())
            Collect(collector, _metadata.GetInterfaceImplementation(implemented).Interface);
        CollectAttributes(collector, type.GetCustomAttributes());
        foreach (var field in type.GetFields().Select(_metadata.GetFieldDefinition))
        {
            field.DecodeSignature(collector, null);
            CollectAttributes(collector, field.GetCustomAttributes());
        }

        foreach (var parameter in type.GetGenericParameters().Select(_metadata.GetGenericParameter))
        {
            foreach (var constraint in parameter.GetConstraints())
                Collect(collector, _metadata.GetGenericParameterConstraint(constraint).Type);
        }

        foreach (var method in type.GetMethods().Select(_metadata.GetMethodDefinition))
        {
            method.DecodeSignature(collector, null);
            CollectAttributes(collector, method.GetCustomAttributes());
            if (method.RelativeVirtualAddress != 0)
                CollectBody(collector, _file.GetMethodBody(method.RelativeVirtualAddress));
        }

        return collector.Found;
    }

    void CollectAttributes(TypeCollector collector, CustomAttributeHandleCollection attributes)
    {
        foreach (var attribute in attributes)
            Collect(collector, _metadata.GetCustomAttribute(attribute).Constructor);
    }

    void CollectBody(TypeCollector collector, MethodBodyBlock body)
    {
        if (!body.LocalSignature.IsNil)
            _metadata.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(collector, null);
        foreach (var region in body.ExceptionRegions.Where(region => !region.CatchType.IsNil))
            Collect(collector, region.CatchType);
        var code = body.GetILReader();
        while (code.RemainingBytes > 0)
        {
            var first = code.ReadByte();
            var instruction = first == 0xFE ? TwoByte[code.ReadByte()] : OneByte[first];
            switch (instruction.OperandType)
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType:
                    Collect(collector, MetadataTokens.EntityHandle(code.ReadInt32()));
                    break;
                case OperandType.InlineSwitch:
                    var targets = code.ReadInt32(); // Read apart: "Offset += … ReadInt32()" would take the offset from before the read.
                    code.Offset += 4 * targets;
                    break;
                default:
                    code.Offset += OperandBytes(instruction.OperandType);
                    break;
            }
        }
    }

    // Source: ECMA-335, partition III, and System.Reflection.Emit.OperandType.
    static int OperandBytes(OperandType operand) => operand switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        _ => 4,
    };

    void Collect(TypeCollector collector, EntityHandle handle)
    {
        switch (handle.Kind)
        {
            case HandleKind.TypeDefinition when !handle.IsNil:
                collector.Found.Add((TypeDefinitionHandle)handle);
                break;
            case HandleKind.TypeSpecification:
                _metadata.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(collector, null);
                break;
            case HandleKind.FieldDefinition:
                Collect(collector, _metadata.GetFieldDefinition((FieldDefinitionHandle)handle).GetDeclaringType());
                break;
            case HandleKind.MethodDefinition:
                Collect(collector, _metadata.GetMethodDefinition((MethodDefinitionHandle)handle).GetDeclaringType());
                break;
            case HandleKind.MethodSpecification:
                var generic = _metadata.GetMethodSpecification((MethodSpecificationHandle)handle);
                generic.DecodeSignature(collector, null);
                Collect(collector, generic.Method);
                break;
            case HandleKind.MemberReference:
                CollectMember(collector, _metadata.GetMemberReference((MemberReferenceHandle)handle));
                break;
        }
    }

    void CollectMember(TypeCollector collector, MemberReference member)
    {
        Collect(collector, member.Parent);
        if (member.GetKind() == MemberReferenceKind.Method)
            member.DecodeMethodSignature(collector, null);
        else
            member.DecodeFieldSignature(collector, null);
    }

    TypeDefinitionHandle Outermost(TypeDefinitionHandle handle)
    {
        while (_metadata.GetTypeDefinition(handle).GetDeclaringType() is { IsNil: false } declaring)
            handle = declaring;
        return handle;
    }

    string Namespace(TypeDefinitionHandle handle) => _metadata.GetString(_metadata.GetTypeDefinition(handle).Namespace);

    string Name(TypeDefinitionHandle handle) => _metadata.GetString(_metadata.GetTypeDefinition(handle).Name);

    /// <summary>Meets every type in a signature and keeps those defined in this assembly.</summary>
    sealed class TypeCollector : ISignatureTypeProvider<object?, object?>
    {
        public List<TypeDefinitionHandle> Found { get; } = [];

        public object? GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind)
        {
            Found.Add(handle);
            return null;
        }

        public object? GetTypeFromSpecification(MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) =>
            reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);

        public object? GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => null;

        public object? GetArrayType(object? elementType, ArrayShape shape) => null;

        public object? GetByReferenceType(object? elementType) => null;

        public object? GetFunctionPointerType(MethodSignature<object?> signature) => null;

        public object? GetGenericInstantiation(object? genericType, ImmutableArray<object?> typeArguments) => null;

        public object? GetGenericMethodParameter(object? genericContext, int index) => null;

        public object? GetGenericTypeParameter(object? genericContext, int index) => null;

        public object? GetModifiedType(object? modifier, object? unmodifiedType, bool isRequired) => null;

        public object? GetPinnedType(object? elementType) => null;

        public object? GetPointerType(object? elementType) => null;

        public object? GetPrimitiveType(PrimitiveTypeCode typeCode) => null;

        public object? GetSZArrayType(object? elementType) => null;
    }
}
