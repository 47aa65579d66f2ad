import { describeConservation } from './conservation.ts'

describeConservation(600)
